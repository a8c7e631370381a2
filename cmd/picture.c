/* noroshi picture: what the hub knows of the whole, as far as we may see. */
#include "cmds.h"

#include "base/buf.h"
#include "base/date.h"
#include "member/member.h"
#include "picture/picture.h"
#include "json/json.h"

#include <stdio.h>

#define MEMORY ((size_t)512 << 20)

static const char usage[] = "extent [--report ID] [--json] [--home DIR]";

static void
put_cell(const struct nr_json *row, enum nr_extent_cell c)
{
    int64_t v;

    if (nr_json_get_i64(row, nr_str_of(nr_extent_cell_name(c)), &v))
        printf("\t%lld", (long long)v);
    else
        printf("\t<%d", (int)NR_EXTENT_K);
}

static void
put_day(const struct nr_json *row, struct nr_str name)
{
    struct nr_str s;

    if (nr_json_get_str(row, name, &s) && s.n >= 10)
        printf("\t%.10s", s.p);
    else
        printf("\t-");
}

static void
put_text(struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        putchar((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i]);
}

static void
put_row(const char *name, struct nr_str text, const struct nr_json *row)
{
    printf("%s", name);
    put_text(text);
    for (int c = 0; c < NR_EXTENT_CELLS; c++)
        put_cell(row, (enum nr_extent_cell)c);
    put_day(row, NR_STR("earliest"));
    put_day(row, NR_STR("latest"));
    putchar('\n');
}

static void
put_members(const struct nr_json *members)
{
    static const char *const columns[] = { "member", "sector", "size", "answer",
        "first", "last" };

    if (!members)
        return;
    printf("member\tsector\tsize\tanswer\tfirst\tlast\tcoverage\n");
    for (const struct nr_json *m = members->child; m; m = m->next) {
        double coverage;

        for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
            struct nr_str s = NR_STR("-");

            (void)nr_json_get_str(m, nr_str_of(columns[i]), &s);
            put_text(s);
            putchar('\t');
        }
        if (nr_json_double(nr_json_get(m, NR_STR("coverage")), &coverage))
            printf("%.2f\n", coverage);
        else
            printf("-\n");
    }
}

static void
put_report(const struct nr_json *r)
{
    struct nr_str id = { "", 0 }, name = { "", 0 };

    (void)nr_json_get_str(r, NR_STR("report"), &id);
    (void)nr_json_get_str(r, NR_STR("name"), &name);
    printf("report\t");
    put_text(id);
    putchar('\t');
    put_text(name);
    printf("\nwhere\tasked\tanswered\tseen\tnot seen\tcannot say\tdenied\t"
           "earliest\tlatest\n");
    put_row("all", NR_STR(""), r);
    {
        const struct nr_json *s = nr_json_get(r, NR_STR("sectors"));

        for (s = s ? s->child : NULL; s; s = s->next) {
            struct nr_str sector = { "", 0 };

            (void)nr_json_get_str(s, NR_STR("sector"), &sector);
            put_row("", sector, s);
        }
    }
    put_members(nr_json_get(r, NR_STR("members")));
}

static enum nr_err
print(struct nr_arena *a, struct nr_bytes body, bool as_json, struct nr_diag *d)
{
    const struct nr_json *j, *r;
    enum nr_err err = nr_json_parse(a, body, &j, d);

    if (err)
        return err;
    r = nr_json_get(j, NR_STR("reports"));
    if (!nr_json_is(r, NR_JSON_ARRAY))
        return nr_fail(d, NR_EFORMAT, 0,
            "extent: the hub's answer has no \"reports\"");
    if (as_json) {
        (void)fwrite(body.p, 1, body.n, stdout);
        putchar('\n');
        return NR_OK;
    }
    for (r = r->child; r; r = r->next) {
        put_report(r);
        if (r->next)
            putchar('\n');
    }
    return NR_OK;
}

/* A report's id goes into a query: only what ids are made of. */
static bool
is_id(const char *s)
{
    for (; *s; s++)
        if (!nr_is_alpha((uint8_t)*s) && !nr_is_digit((uint8_t)*s) && *s != '-')
            return false;
    return true;
}

int
cmd_picture(struct cli *cli, int argc, char **argv)
{
    const char *report = NULL;
    bool as_json = false;
    const struct cli_option table[] = {
        { "report", 0, CLI_TEXT, &report },
        { "json", 0, CLI_FLAG, &as_json },
        { "home", 0, CLI_TEXT, &cli->home },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_http_response res = { 0 };
    struct nr_http_request req = { .method = "GET" };
    struct nr_membership m;
    struct nr_http *h = NULL;
    struct nr_diag d = { 0 };
    char path[256];
    struct nr_arena a;
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1 || strcmp(argv[0], "extent") != 0)
        return cli_usage(cli, usage);
    if (report && (!is_id(report) || strlen(report) > 128))
        return cli_error(cli, "--report: not the id of a report: %s", report);
    (void)snprintf(path, sizeof(path), "/v1/extent%s%s",
        report ? "?report=" : "", report ? report : "");
    req.path = path;
    nr_arena_init(&a, MEMORY);
    err = nr_http_init(&d);
    if (!err)
        err = nr_membership_read(&a, cli->home, &m, &d);
    if (!err)
        err = nr_member_http(cli->home, &m, NULL, &h, &d);
    if (!err)
        err = nr_http_exchange(h, &req, &res, &d);
    if (!err)
        err = nr_http_check(&res, &d);
    if (!err)
        err = print(&a, nr_buf_bytes(&res.body), as_json, &d);
    nr_http_response_fini(&res);
    nr_http_destroy(h);
    nr_arena_fini(&a);
    return err ? cli_fail(cli, &d) : CLI_NOTHING;
}
