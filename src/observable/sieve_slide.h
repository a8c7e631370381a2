/* Tables that several kernels have in common. */
#ifndef NR_OBSERVABLE_SIEVE_SLIDE_H
#define NR_OBSERVABLE_SIEVE_SLIDE_H

#include <stdint.h>

/* A mask that slides: its 32 octets from N on end in N octets of ones, those
 * from 64 - N on start with them. */
static const uint8_t sieve_slide[96] = {
    /* clang-format off */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255,
    /* clang-format on */
};

#endif
