/*
 * What the rooms input and logline make of files: a row a file (source, lines,
 * share dated, share not plain text, kinds of the sources met). With --lines:
 * a row a line.
 */
#include "input/input.h"
#include "logline/logline.h"

#include <inttypes.h>

struct sum {
    uint64_t lines, dated, inherited, known, denied, allowed;
    uint64_t sources[NR_SOURCES];
};

static void
view_print(const char *name, struct nr_bytes v)
{
    if (v.n > 0)
        printf("\t%s=%.*s", name, v.n <= 4096 ? (int)v.n : 4096,
            (const char *)v.p);
}

/* As src/logline/testdata/cases.txt has it. */
static void
line_print(const struct nr_record *r)
{
    char when[NR_RFC3339_MAX] = "-";
    const char *sep = "\t";

    if (r->time_us != NR_TIME_NONE)
        (void)nr_time_print_us(r->time_us, when);
    printf("%s%s\t%s", when, r->inherited ? "*" : "",
        nr_source_name(r->source));
    for (unsigned k = 0; k < NR_LOG_KINDS; k++)
        if (r->kinds & 1u << k) {
            printf("%s%s", sep, nr_log_kind_name(k));
            sep = ",";
        }
    printf("\t%s", nr_action_name(r->action));
    view_print("src", r->src);
    view_print("dst", r->dst);
    view_print("host", r->host);
    view_print("user", r->user);
    view_print("query", r->query);
    view_print("url", r->url);
    if (r->bytes_out != NR_BYTES_NONE)
        printf("\tout=%" PRId64, r->bytes_out);
    if (r->bytes_in != NR_BYTES_NONE)
        printf("\tin=%" PRId64, r->bytes_in);
    printf("\n");
}

static void
count(struct sum *s, const struct nr_record *r)
{
    s->lines++;
    s->dated += r->time_us != NR_TIME_NONE;
    s->inherited += r->inherited;
    s->known += r->source != NR_SOURCE_TEXT;
    s->denied += r->action == NR_ACTION_DENIED;
    s->allowed += r->action == NR_ACTION_ALLOWED;
    s->sources[r->source]++;
}

static int
file_read(const char *path, int64_t east_s, bool lines)
{
    struct nr_logfile_options o = { .name = path, .zone_east_s = east_s };
    struct nr_diag d = { 0 };
    struct nr_input *in;
    struct nr_logfile *f = NULL;
    struct nr_block b;
    struct sum s = { 0 };
    char text[512];
    enum nr_err err = nr_input_open(path, NULL, &in, &d);

    if (!err) {
        o.last_s = nr_input_mtime(in);
        err = nr_logfile_new(&o, &f, &d);
        for (bool first = true; !err; first = false) {
            struct nr_bytes rest, line;
            struct nr_record r;

            err = nr_input_next(in, &b, &d);
            if (err || b.text.n == 0)
                break;
            if (first)
                nr_logfile_learn(f, b.text);
            for (rest = b.text; nr_line_next(&rest, &line);) {
                nr_logline_parse(f, line, &r);
                count(&s, &r);
                if (lines)
                    line_print(&r);
            }
        }
        nr_input_free(in);
    }
    if (err) {
        nr_diag_print(&d, text, sizeof(text));
        fprintf(stderr, "%s\n", text);
    }
    printf("%s\t%s\t%" PRIu64 " lines\t%" PRIu64 " dated\t%" PRIu64
           " inherited\t%" PRIu64 " denied\t%" PRIu64 " allowed\t",
        path, f ? nr_source_name(nr_logfile_source(f)) : "-", s.lines,
        s.dated - s.inherited, s.inherited, s.denied, s.allowed);
    for (size_t i = 0; i < NR_SOURCES; i++)
        if (s.sources[i] > 0)
            printf("%s:%" PRIu64 " ", nr_source_name((enum nr_source)i),
                s.sources[i]);
    printf("\n");
    nr_logfile_free(f);
    return err ? 2 : 0;
}

int
main(int argc, char **argv)
{
    bool lines = false;
    int64_t east_s = 0;
    int status = 0;

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--lines") == 0)
            lines = true;
        else if (strcmp(argv[i], "--tz") == 0 && i + 1 < argc) {
            if (!nr_zone_parse(nr_str_of(argv[++i]), &east_s))
                return 2;
        } else if (file_read(argv[i], east_s, lines))
            status = 2;
    return status;
}
