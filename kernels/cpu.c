/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu.h"

#include <stdint.h>

#include "kernels/kernels.h"

#if defined(__x86_64__)

#include <cpuid.h>
#if __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h>
#endif

/* clang's __builtin_cpu_supports does not know the name "f16c". */
static bool cpu_has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

bool cpu_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && cpu_has_f16c();
}

bool cpu_has_avx512(void)
{
    return cpu_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512vbmi2") &&
           __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("bmi2");
}

/* Asked for each product: glibc keeps the answer, while the instruction CPUID takes
 * microseconds in a virtual machine. clang 14's __builtin_cpu_supports does not know it. */
bool cpu_has_avx_vnni(void)
{
#ifdef CPU_FEATURE_ACTIVE
    return CPU_FEATURE_ACTIVE(AVX_VNNI);
#else
    return false;
#endif
}

bool cpu_has_crc32c(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

bool cpu_has_vpclmulqdq(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
}

struct prefetch_policy prefetch_policy(size_t vector_bytes)
{
    if (__builtin_cpu_is("amd"))
        return vector_bytes > 32 ? (struct prefetch_policy){8192, false, 2, 8, 4}
                                 : (struct prefetch_policy){8192, false, 4, 8, 4};
    return (struct prefetch_policy){vector_bytes > 32 ? 4864 : 4608, true, 2, 8, 2};
}

/* MXCSR as at power-on: all exceptions masked, round to nearest, no FTZ, no DAZ. */
enum { MXCSR_DEFAULT = 0x1f80 };

void kernels_enter(struct kernels_env *env)
{
    env->saved = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(MXCSR_DEFAULT);
}

void kernels_leave(const struct kernels_env *env)
{
    __builtin_ia32_ldmxcsr((uint32_t)env->saved);
}

#elif defined(__aarch64__)

#include <sys/auxv.h>

bool cpu_has_avx2(void)
{
    return false;
}

bool cpu_has_avx512(void)
{
    return false;
}

bool cpu_has_avx_vnni(void)
{
    return false;
}

bool cpu_has_vpclmulqdq(void)
{
    return false;
}

bool cpu_has_crc32c(void)
{
    return (getauxval(AT_HWCAP) & 1ul << 7) != 0; /* HWCAP_CRC32 */
}

struct prefetch_policy prefetch_policy(size_t vector_bytes)
{
    (void)vector_bytes;
    return (struct prefetch_policy){4096, true, 4, 4, 4};
}

/* FPCR 0: round to nearest, no FZ, FZ16, AH, and the IEEE half format. */
void kernels_enter(struct kernels_env *env)
{
    __asm__ volatile("mrs %0, fpcr\n\tmsr fpcr, xzr" : "=r"(env->saved) : : "memory");
}

void kernels_leave(const struct kernels_env *env)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(env->saved) : "memory");
}

#else
#error "the floating-point environment of this processor is not known"
#endif
