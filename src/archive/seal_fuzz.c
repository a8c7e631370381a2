/* A sealed file as it may lie on a disk: opened, for use and for repair; what
 * opens lies inside, and nothing of foreign octets does open. */
#include "archive/seal_in.h"
#include "crypto/crypto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct nr_archive_key key = { .secret = { 1 } };
    struct nr_bytes file = { data, size };

    if (nr_crypto_init(NULL) != NR_OK)
        abort();
    for (int mends = 0; mends < 2; mends++) {
        struct seal_view *v = NULL;
        struct nr_bytes plain;
        uint8_t out[64];

        if (seal_view_open(&key, file, "fuzz", mends, &v, NULL) != NR_OK)
            continue;
        plain = seal_plain(v);
        if (plain.n > size || seal_pages(v) > size)
            abort();
        for (uint64_t i = 0; i < seal_pages(v); i++)
            if (seal_page(v, i))
                abort(); /* nobody guesses a tag */
        for (size_t at = 0; at < plain.n; at++)
            if (plain.p[at] != 0)
                abort();
        if (plain.n > sizeof(out) &&
            (seal_need(v, 0, plain.n, NULL) == NR_OK ||
                seal_read(v, plain.n - sizeof(out), sizeof(out), out, NULL) ==
                    NR_OK))
            abort();
        seal_view_close(v);
    }
    return 0;
}
