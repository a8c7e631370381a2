/*
 * Any octets through the sieve: the first line break that is a "\n\n" parts a
 * list from a text. Properties: those of sieve_try.h.
 */
#include "observable/sieve_try.h"

#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memmem(data, size, "\n\n", 2) : NULL;
    size_t list_n = cut ? (size_t)(cut - data) + 1 : 0;
    size_t n = size - list_n;
    uint8_t *copy = malloc(n + 2 * NR_SIEVE_SLACK);
    struct try_seen seen = { 0 };
    struct nr_str list;
    struct try_list *l;

    if (!copy)
        return 0;
    memset(copy, '\n', n + 2 * NR_SIEVE_SLACK);
    if (n > 0)
        memcpy(copy + NR_SIEVE_SLACK, data + list_n, n);
    if (nr_str_from_utf8((struct nr_bytes){ data, list_n }, &list)) {
        l = try_list_create(list);
        if (try_block(l, (struct nr_bytes){ copy + NR_SIEVE_SLACK, n },
                nr_cpu_flags(), &seen))
            abort();
        try_list_destroy(l);
    }
    free(copy);
    return 0;
}
