/* Any octets as a form; what is taken must print. */
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct nr_report_by by = {
        .member = { "identity--b2b3b4b5-0000-4000-8000-000000000001", 46 },
        .created_s = 1503273600,
    };
    uint8_t *copy = malloc(size); /* exact size: ASan sees one octet past */
    char id[NR_REPORT_ID_MAX];
    struct nr_report_form f;
    struct nr_arena a;
    struct nr_buf b;

    nr_arena_init(&a, (size_t)64 << 20);
    nr_buf_init(&b, (size_t)64 << 20);
    if (size && copy)
        memcpy(copy, data, size);
    if ((copy || !size) &&
        nr_report_form_parse(&a, (struct nr_bytes){ copy, size }, 0, &f,
            NULL) == NR_OK &&
        nr_report_check(&f, NULL, 0, NULL) == NR_OK) {
        f.collection = NR_STR("c");
        if (nr_report_print(&f, &by, &b, id, NULL) != NR_OK)
            abort();
    }
    nr_buf_fini(&b);
    nr_arena_fini(&a);
    free(copy);
    return 0;
}
