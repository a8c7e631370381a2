/* Octet -> planes, for the kernels that look classes up. */
#ifndef NR_OBSERVABLE_SIEVE_CLASSES_H
#define NR_OBSERVABLE_SIEVE_CLASSES_H

/* In the order of struct sieve_planes, from bit 0 on. */
enum {
    S_LABEL = 1,
    S_DOT = 2,
    S_ALPHA = 4,
    S_DIGIT = 8,
    S_HEX = 16,
    S_COLON = 32,
    S_AT = 64,
    S_SLASH = 128,
    S_9 = S_LABEL | S_DIGIT | S_HEX,
    S_F = S_LABEL | S_ALPHA | S_HEX,
    S_Z = S_LABEL | S_ALPHA,
};

/* clang-format off */
#define SIEVE_CLASSES { \
    ['-'] = S_LABEL, ['_'] = S_LABEL, ['.'] = S_DOT, [':'] = S_COLON, \
    ['@'] = S_AT, ['/'] = S_SLASH, ['\\'] = S_SLASH, \
    ['0'] = S_9, S_9, S_9, S_9, S_9, S_9, S_9, S_9, S_9, S_9, \
    ['A'] = S_F, S_F, S_F, S_F, S_F, S_F, \
    ['G'] = S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, \
    ['Q'] = S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, \
    ['a'] = S_F, S_F, S_F, S_F, S_F, S_F, \
    ['g'] = S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, \
    ['q'] = S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, S_Z, \
}
/* clang-format on */

#endif
