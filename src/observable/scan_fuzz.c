/*
 * Any octets through the scanner. Properties: every token lies inside the
 * block and inside its line, lines ascend, every key is sound, and its text
 * gives the same key again; all variants give the same tokens.
 */
#include "base/cpu.h"
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
check_token(const struct nr_tokens *t, const struct nr_token *k, size_t size,
    struct nr_buf *text, struct nr_buf *again)
{
    enum nr_kind kind = (enum nr_kind)k->kind;
    struct nr_bytes key = nr_token_key(t, k);

    must(k->line < t->n_lines && k->len > 0 && k->at + k->len <= size);
    must(k->at >= t->line_at[k->line]);
    must(
        k->line + 1 == t->n_lines || k->at + k->len <= t->line_at[k->line + 1]);
    must(nr_key_is_sound(k->kind, key));
    nr_buf_reset(text);
    nr_buf_reset(again);
    nr_canon_print(kind, key, text);
    must(nr_canon(kind, (struct nr_str){ (const char *)text->p, text->n },
             again, NULL) == NR_OK);
    must(nr_bytes_eq(key, nr_buf_bytes(again)));
}

/* Each variant that the machine has gives the tokens of T. */
static void
check_variants(struct nr_bytes block, const struct nr_tokens *t)
{
    static const unsigned cpus[] = { NR_CPU_ALL, NR_CPU_AVX2 };

    for (size_t c = 0; c < sizeof(cpus) / sizeof(*cpus); c++) {
        struct nr_tokens u;

        nr_tokens_init(&u, t->flags);
        must(nr_scanner_choose(cpus[c]).scan(block, &u) == NR_OK);
        must(t->n == u.n && t->n_lines == u.n_lines);
        for (size_t i = 0; i < t->n; i++)
            must(t->v[i].kind == u.v[i].kind && t->v[i].at == u.v[i].at &&
                t->v[i].len == u.v[i].len && t->v[i].line == u.v[i].line &&
                nr_bytes_eq(nr_token_key(t, &t->v[i]),
                    nr_token_key(&u, &u.v[i])));
        nr_tokens_fini(&u);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned options[] = { 0, NR_SCAN_MORE, ~0u };
    uint8_t *copy = malloc(size ? size : 1); /* exact, so ASan sees the end */
    struct nr_buf text, again;
    struct nr_tokens t;

    if (!copy)
        return 0;
    if (size > 0)
        memcpy(copy, data, size);
    nr_buf_init(&text, 4 * NR_KEY_MAX);
    nr_buf_init(&again, 4 * NR_KEY_MAX);
    for (size_t f = 0; f < sizeof(options) / sizeof(*options); f++) {
        nr_tokens_init(&t, options[f]);
        must(nr_scan((struct nr_bytes){ copy, size }, &t) == NR_OK);
        for (size_t i = 0; i < t.n; i++) {
            must(i == 0 || t.v[i].line >= t.v[i - 1].line);
            check_token(&t, &t.v[i], size, &text, &again);
        }
        check_variants((struct nr_bytes){ copy, size }, &t);
        nr_tokens_fini(&t);
    }
    nr_buf_fini(&text);
    nr_buf_fini(&again);
    free(copy);
    return 0;
}
