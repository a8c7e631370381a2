/* Any octets as HTML: what comes out ends in a line feed and is not much
 * longer than what went in. */
#include "extract/html.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_buf out;

    nr_buf_init(&out, 2 * size + 1);
    nr_html_hidden((struct nr_bytes){ data, size }, &out);
    if (out.err != NR_OK || (out.n > 0 && out.p[out.n - 1] != '\n'))
        abort();
    nr_buf_fini(&out);
    return 0;
}
