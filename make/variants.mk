# How each variant is compiled: build/<variant>/ holds its objects and binaries.

VARIANTS := release asan tsan cov fuzz arm64 uncharged
ifeq ($(filter $(VARIANT),$(VARIANTS)),)
$(error VARIANT=$(VARIANT) is none of $(VARIANTS))
endif

# What the code is compiled for.
MACHINE := $(if $(filter arm64,$(VARIANT)),aarch64,$(shell uname -m))

CFLAGS_release := -O3 -g
# AddressSanitizer and UndefinedBehaviorSanitizer together: one run of the suite for both.
# Its checks hide lengths from the two warnings, which are then wrong.
CFLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DTRIT_ASAN=1 \
  -Wno-format-truncation -Wno-restrict
CFLAGS_tsan := -O1 -g -fsanitize=thread
CFLAGS_cov := -O0 -g --coverage
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -DTRIT_ASAN=1
CFLAGS_arm64 := -O3 -g
# Charges nothing to accounts: only to measure what that costs (make bench-accounts).
CFLAGS_uncharged := -O3 -g -DTRIT_UNCHARGED

# Calls of 1 KiB take a seventh less CPU time where the files of their path (WHOLE_MODULES) are
# optimized together. That takes 10 s, so only tritd is linked so: these objects hold code for
# other programs too. Of the kernels only the table of encodings is among them; the code of the
# others stays as it is. clang 14 cannot write such objects. And gcc zeroes a struct by
# `rep stos`, which takes some 30 cycles to begin; for small ones stores are faster.
ifneq ($(filter release uncharged,$(VARIANT)),)
ifeq ($(findstring clang,$(CC)),)
WHOLE := -flto=auto -ffat-lto-objects
ifeq ($(MACHINE),x86_64)
WHOLE += -mmemset-strategy=unrolled_loop:256:noalign,libcall:-1:noalign \
  -mmemcpy-strategy=unrolled_loop:128:noalign,libcall:-1:noalign
endif
# So that builds in different folders give the same bytes: gcc names sections of such an object
# by a random number, and the assembler writes down the folder.
WHOLE_OBJECT = $(WHOLE) -frandom-seed=$@ -Wa,--debug-prefix-map=$(CURDIR)=.
endif
endif

# Sanitizers reserve fixed addresses, which ASLR may have taken.
RUNNER_asan := setarch -R
RUNNER_tsan := setarch -R
RUNNER_arm64 := qemu-aarch64-static
RUNNER := $(RUNNER_$(VARIANT))

DEPS_arm64 := cross
DEPS_fuzz := lint
DEPS_cov := lint

ifeq ($(VARIANT),arm64)
CC := aarch64-linux-gnu-gcc
AR := aarch64-linux-gnu-ar
export PKG_CONFIG_LIBDIR := /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig
endif
ifeq ($(VARIANT),fuzz)
CC := clang
endif

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow \
  -Wstrict-prototypes -Wold-style-definition -Wformat=2 -Wimplicit-fallthrough \
  -Wcast-align -Wundef -Wpointer-arith -Wvla -Werror=missing-prototypes \
  -Werror=implicit-function-declaration -Werror=format-security $(if $(WERROR),-Werror)

# Builds in different folders give the same bytes.
HARDEN := -fno-strict-aliasing -fno-math-errno -ffile-prefix-map=$(CURDIR)/= -ffile-prefix-map=$(CURDIR)=.
ifneq ($(filter release arm64 uncharged,$(VARIANT)),)
HARDEN += -fstack-protector-strong -D_FORTIFY_SOURCE=2
endif

# No contraction: the numeric contract (kernels/NUMERICS.md) depends on it.
CFLAGS_ALL = -std=c17 -D_GNU_SOURCE -fPIC -ffp-contract=off $(CFLAGS_$(VARIANT)) \
  $(WARN) $(HARDEN) -I. -Iproto -Iserver -Iclient/include -I$(GEN) \
  -DTRITD_VERSION='"$(VERSION)"' $(CFLAGS)
LDFLAGS_COMMON = $(filter -fsanitize=% --coverage,$(CFLAGS_$(VARIANT))) -pthread \
  -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
LDFLAGS_ALL = $(if $(WHOLE),-fno-lto) $(LDFLAGS_COMMON)
LDFLAGS_WHOLE = $(if $(WHOLE),$(WHOLE) $(filter-out -W% -D% -I%,$(CFLAGS_ALL))) \
  $(LDFLAGS_COMMON)

# ISA flags: on exactly one object each. Functions start at a cache line, so that a change
# in one function does not move the loops of the next ones: moved by 16 bytes, the same
# instructions of AVX2's base 3 ran at 0.74 of their speed.
ifeq ($(MACHINE),x86_64)
ALIGNED := -falign-functions=64
$(O)/kernels/ternary/avx2.o: ISA := -mavx2 -mf16c $(ALIGNED)
$(O)/kernels/ternary/avx512.o: ISA := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi \
  -mavx512vbmi2 -mavx512vpopcntdq -mf16c -mbmi2 $(ALIGNED)
# Products name their fused multiply-adds; contraction stays off. Their inner loops are
# aligned.
$(O)/kernels/linear/avx2.o: ISA := -mavx2 -mf16c -mfma $(ALIGNED) -falign-loops=64
$(O)/kernels/linear/avx2_vnni.o: ISA := -mavx2 -mf16c -mfma -mavxvnni $(ALIGNED) -falign-loops=64
$(O)/kernels/linear/avx512.o: ISA := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi \
  -mavx512vnni -mf16c -mfma $(ALIGNED) -falign-loops=64
endif

ifeq ($(VARIANT),tsan)
export TSAN_OPTIONS := suppressions=$(abspath tests/tsan.supp)
endif
