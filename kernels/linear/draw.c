/* SPDX-License-Identifier: Apache-2.0 */
/* Draws from N(0, 1) by counter: element i is the quantile of a uniform number, which is
 * made of 52 bits that belong to i. Philox gives 128 bits for a block; elements 2n and
 * 2n + 1 use block n. */
#include "kernels/linear/draw.h"

#include <math.h>

#include "kernels/linear/linear.h"

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xd2511f53u * c0, b = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* ln x for normal x > 0. x = 2^e m with m in [1/sqrt 2, sqrt 2); ln m = 2 atanh f with
 * f = (m - 1) / (m + 1), |f| < 0.1716. The series of atanh is cut after f^23; the rest is
 * below 2^-60. */
static double natural_log(double x)
{
    int exponent;
    double m = frexp(x, &exponent); /* exact */
    if (m < 0x1.6a09e667f3bcdp-1) {
        m += m;
        exponent--;
    }
    const double f = (m - 1.0) / (m + 1.0), g = f * f;
    double series = 1.0 / 23.0;
    for (int k = 21; k >= 3; k -= 2)
        series = series * g + 1.0 / k;
    const double tail = f * g * series; /* atanh f - f */
    return (double)exponent * 0x1.62e42fefa39efp-1 + 2.0 * (f + tail);
}

/* Horner's rule. The coefficient of the highest power comes first. */
static double polynomial(const double coefficients[8], double x)
{
    double sum = coefficients[0];
    for (int i = 1; i < 8; i++)
        sum = sum * x + coefficients[i];
    return sum;
}

static double ratio(const double numerator[8], const double denominator[8], double x)
{
    return polynomial(numerator, x) / polynomial(denominator, x);
}

double normal_quantile(double p)
{
    static const double a[8] = {2.5090809287301226727e3, 3.3430575583588128105e4,
                                6.7265770927008700853e4, 4.5921953931549871457e4,
                                1.3731693765509461125e4, 1.9715909503065514427e3,
                                1.3314166789178437745e2, 3.3871328727963666080e0};
    static const double b[8] = {5.2264952788528545610e3, 2.8729085735721942674e4,
                                3.9307895800092710610e4, 2.1213794301586595867e4,
                                5.3941960214247511077e3, 6.8718700749205790830e2,
                                4.2313330701600911252e1, 1.0};
    static const double c[8] = {7.74545014278341407640e-4, 2.27238449892691845833e-2,
                                2.41780725177450611770e-1, 1.27045825245236838258e0,
                                3.64784832476320460504e0,  5.76949722146069140550e0,
                                4.63033784615654529590e0,  1.42343711074968357734e0};
    static const double d[8] = {1.05075007164441684324e-9, 5.47593808499534494600e-4,
                                1.51986665636164571966e-2, 1.48103976427480074590e-1,
                                6.89767334985100004550e-1, 1.67638483018380384940e0,
                                2.05319162663775882187e0,  1.0};
    static const double e[8] = {2.01033439929228813265e-7, 2.71155556874348757815e-5,
                                1.24266094738807843860e-3, 2.65321895265761230930e-2,
                                2.96560571828504891230e-1, 1.78482653991729133580e0,
                                5.46378491116411436990e0,  6.65790464350110377720e0};
    static const double f[8] = {2.04426310338993978564e-15, 1.42151175831644588870e-7,
                                1.84631831751005468180e-5,  7.86869131145613259100e-4,
                                1.48753612908506148525e-2,  1.36929880922735805310e-1,
                                5.99832206555887937690e-1,  1.0};
    const double q = p - 0.5;
    if (fabs(q) <= 0.425)
        return q * ratio(a, b, 0.180625 - q * q);
    const double r = sqrt(-natural_log(q < 0.0 ? p : 1.0 - p));
    const double z = r <= 5.0 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5.0);
    return q < 0.0 ? -z : z;
}

/* (n + 1/2) / 2^52 for n < 2^52: exact, and neither 0 nor 1. */
static double uniform(uint32_t low, uint32_t high)
{
    const uint64_t n = ((uint64_t)high << 32 | low) >> 12;
    return ((double)n + 0.5) * 0x1p-52;
}

void linear_draw(uint64_t seed, double deviation, uint64_t first, uint64_t count,
                 float *out)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t bits[4];
    for (uint64_t i = first; i < first + count; i++) {
        const uint64_t block = i / 2;
        const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
        if (i == first || i % 2 == 0)
            philox4x32(counter, key, bits);
        const uint32_t *own = &bits[i % 2 * 2];
        *out++ = (float)(normal_quantile(uniform(own[0], own[1])) * deviation);
    }
}
