/* Any octets as one form of feed, FEED_FORMAT. */
#include "feed/feed.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct nr_feed_conf conf = { .seed = { 1 } };
    struct nr_feed *f = nr_feed_create(&conf);
    uint8_t *copy = malloc(size); /* exact size: ASan sees one octet past */
    struct nr_feed_stats st;
    size_t n;

    if (f && (copy || !size)) {
        if (size)
            memcpy(copy, data, size);
        (void)nr_feed_recognise((struct nr_bytes){ copy, size });
        if (nr_feed_add_bytes(f, "fuzz", (struct nr_bytes){ copy, size },
                FEED_FORMAT, NULL) == NR_OK) {
            nr_feed_stats(f, &st);
            (void)nr_feed_notes(f, &n);
            /* Every value looked at went somewhere, and was noted. */
            if (st.values != st.taken + st.unmatchable + st.refused)
                abort();
            if (n < NR_FEED_NOTES_MAX &&
                n != st.flagged + st.unmatchable + st.refused)
                abort();
            if (st.indicators > st.taken)
                abort();
        }
    }
    free(copy);
    nr_feed_destroy(f);
    return 0;
}
