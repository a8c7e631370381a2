/*
 * Any text through the canonicalisers: the first octet chooses the kind.
 * Properties: a key that comes out is sound, its text and its disarmed text
 * are taken again, and the text gives the same key.
 */
#include "observable/observable.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
check(enum nr_kind kind, struct nr_bytes key)
{
    struct nr_buf text, again;

    nr_buf_init(&text, 16 * NR_KEY_MAX);
    nr_buf_init(&again, NR_KEY_MAX);
    must(nr_key_is_sound((unsigned)kind, key));
    nr_canon_print(kind, key, &text);
    must(nr_canon(kind, (struct nr_str){ (const char *)text.p, text.n }, &again,
             NULL) == NR_OK);
    must(nr_bytes_eq(key, nr_buf_bytes(&again)));
    nr_buf_reset(&text);
    nr_defang(kind, key, &text);
    must(text.err == NR_OK && text.n > 0);
    nr_buf_fini(&text);
    nr_buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_diag d = { 0 };
    struct nr_buf key;
    struct nr_str text;
    enum nr_kind kind;
    char *copy;

    if (size < 1)
        return 0;
    copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    nr_buf_init(&key, NR_KEY_MAX);
    if (nr_str_from_utf8((struct nr_bytes){ (const uint8_t *)copy + 1,
                             size - 1 },
            &text)) {
        kind = (enum nr_kind)(data[0] % NR_KINDS);
        if (nr_canon(kind, text, &key, &d) == NR_OK)
            check(kind, nr_buf_bytes(&key));
        else
            must(key.n == 0);
        nr_buf_reset(&key);
        if (nr_canon_guess(text, &kind, &key, NULL) == NR_OK)
            check(kind, nr_buf_bytes(&key));
    }
    nr_buf_fini(&key);
    free(copy);
    return 0;
}
