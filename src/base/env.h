/*
 * The outside world as an argument: the clock and the source of randomness.
 *
 * Nothing below cmd/ calls time() or getrandom() on its own; tests and the
 * demonstration run in a time of their choice (NOROSHI_NOW, see noroshi(1)).
 */
#ifndef NR_ENV_H
#define NR_ENV_H

#include "base/attr.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct nr_env {
    int64_t (*now_us)(void *ctx); /* UTC, microseconds since 1970 */
    enum nr_err (*random)(void *ctx, void *p, size_t n); /* NR_OK or NR_ESYS */
    void *ctx;
};

/*
 * The system's clock and getrandom(2). OFFSET_US is added to the clock: 0, or
 * what makes "now" the injected day. *OFFSET_US must outlive *ENV.
 * Thread-safe.
 */
void nr_env_system(struct nr_env *env, const int64_t *offset_us);

static inline int64_t
nr_env_now_s(const struct nr_env *env)
{
    return env->now_us(env->ctx) / 1000000;
}

#endif
