#include "block.h"

#include <string.h>

/* Is there nothing but what a token leaves at its ends in [AT, END)? */
static bool
only_trimmings(struct nr_bytes text, size_t at, size_t end)
{
    for (; at < end; at++)
        if (!strchr(".-,;:!?)]", text.p[at]) || text.p[at] == '\0')
            return false;
    return true;
}

enum nr_err
block_scan(const struct nr_block *block, unsigned cpu, struct nr_tokens *out)
{
    enum nr_err err = nr_scanner_choose(cpu).scan(block->text, out);
    size_t n = 0;

    if (err != NR_OK || (!block->torn_head && !block->torn_tail))
        return err;
    for (size_t i = 0; i < out->n; i++) {
        const struct nr_token *k = &out->v[i];

        if ((block->torn_head && only_trimmings(block->text, 0, k->at)) ||
            (block->torn_tail &&
                only_trimmings(block->text, k->at + k->len, block->text.n)))
            continue;
        out->v[n++] = *k;
    }
    out->n = n;
    return NR_OK;
}

void
block_put_field(struct nr_buf *out, struct nr_bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        bool control = text.p[i] < 0x20 || text.p[i] == 0x7f;

        nr_buf_put_c(out, (char)(control ? (uint8_t)'?' : text.p[i]));
    }
}
