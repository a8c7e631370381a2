/* noroshi report: five questions, two halves, one report. */
#include "cmds.h"
#include "report_ask.h"

#include "base/file.h"
#include "base/num.h"
#include "member/member.h"
#include "report/report.h"
#include "json/json.h"

#include <stdio.h>
#include <unistd.h>

#define MEMORY      ((size_t)512 << 20)
#define REPORTS_MAX ((size_t)100000) /* reports of one home */
#define OWN_MAX     ((size_t)256)    /* own domains of one home */

static const char usage[] =
    "new [--from FILE.json] [--lang ja|en] [--collection ID]\n"
    "       | send ID|FILE.json [--collection ID] | status   [--home DIR]";

/* What the commands know of this home. */
struct desk {
    struct cli *cli;
    struct nr_arena a;
    struct nr_membership m;
    struct nr_str own[OWN_MAX];
    size_t n_own;
    int64_t east_s;
    struct nr_diag d;
};

static enum nr_err
desk_init(struct desk *k, struct cli *cli)
{
    struct nr_config c = { 0 };
    struct nr_str s;
    size_t at = 0;
    enum nr_err err;

    k->cli = cli;
    nr_arena_init(&k->a, MEMORY);
    err = nr_membership_read(&k->a, cli->home, &k->m, &k->d);
    if (!err)
        err = nr_config_read(&k->a, cli->home, &c, &k->d);
    while (!err && k->n_own < OWN_MAX &&
        nr_config_next(&c, NR_STR("domain"), &at, &s))
        k->own[k->n_own++] = s;
    if (!err && nr_config_get(&c, NR_STR("tz"), &s) &&
        !nr_zone_parse(s, &k->east_s))
        err = nr_fail(&k->d, NR_EFORMAT, 0, "config: tz is an offset as +0900");
    return err;
}

/* The collection named, else the only one we may write to. */
static enum nr_err
choose_collection(struct desk *k, struct nr_report_form *f, const char *named)
{
    const struct nr_collection *only = NULL;
    size_t n = 0;

    if (named)
        f->collection = nr_str_of(named);
    for (size_t i = 0; i < k->m.n_collections; i++) {
        const struct nr_collection *c = &k->m.collections[i];

        if (!c->can_write)
            continue;
        n++;
        only = c;
        if (nr_str_eq(c->id, f->collection) ||
            nr_str_eq(c->title, f->collection)) {
            f->collection = c->id;
            return NR_OK;
        }
    }
    if (f->collection.n)
        return nr_fail_name(&k->d, NR_ENOTFOUND,
            "report: no collection of this id or title that we may write to",
            named ? named : "");
    if (n != 1)
        return nr_fail(&k->d, NR_EFORMAT, 0,
            n ? "report: several collections can be written to; name one with "
                "--collection (see noroshi status)"
              : "report: there is no collection that we may write to");
    f->collection = only->id;
    return NR_OK;
}

/* HOME/reports/ID.json */
static enum nr_err
path_of(struct desk *k, const char *id, char *path)
{
    char file[NR_ITEM_ID_MAX + 32];

    (void)snprintf(file, sizeof(file), "reports/%s.json", id);
    return nr_path_join(path, k->cli->home, file, &k->d);
}

/* The item as the outbox will hold it, kept until it is sent. */
static enum nr_err
save(struct desk *k, const char *id, struct nr_bytes body)
{
    char path[NR_PATH_MAX], dir[NR_PATH_MAX];
    struct nr_json_out o;
    struct nr_buf b;
    enum nr_err err;

    nr_buf_init(&b, NR_ITEM_MAX);
    nr_json_out_init(&o, &b);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("kind"), NR_STR("report"));
    nr_json_member_str(&o, NR_STR("id"), nr_str_of(id));
    nr_json_member_str(&o, NR_STR("method"), NR_STR("POST"));
    nr_json_member_str(&o, NR_STR("path"), NR_STR("/v1/reports"));
    nr_json_key(&o, NR_STR("body"));
    nr_json_put_raw(&o, body);
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    if (err)
        err = nr_fail(&k->d, err, 0, "report: longer than 16 MiB");
    if (!err)
        err = nr_path_join(dir, k->cli->home, "reports", &k->d);
    if (!err)
        err = nr_dir_make(dir, 0700, &k->d);
    if (!err)
        err = path_of(k, id, path);
    if (!err)
        err = nr_file_replace(path, nr_buf_bytes(&b), 0600, &k->d);
    nr_buf_fini(&b);
    return err;
}

/* Check F, print it and keep it. */
static enum nr_err
make(struct desk *k, struct nr_report_form *f, const char *collection,
    char id[NR_REPORT_ID_MAX])
{
    struct nr_report_by by = { .member = k->m.member,
        .created_s = nr_env_now_s(&k->cli->env) };
    struct nr_buf body;
    enum nr_err err;

    nr_buf_init(&body, NR_REPORT_HALF_MAX * 2);
    err = nr_report_check(f, k->own, k->n_own, &k->d);
    if (!err)
        err = choose_collection(k, f, collection);
    if (!err)
        err = nr_report_print(f, &by, &body, id, &k->d);
    if (!err)
        err = save(k, id, nr_buf_bytes(&body));
    nr_buf_fini(&body);
    return err;
}

static enum nr_err
from_file(struct desk *k, const char *path, struct nr_report_form *f)
{
    struct nr_bytes in = { 0 };
    enum nr_err err = nr_file_read(&k->a, path, NR_REPORT_FORM_MAX, &in, &k->d);

    if (!err)
        err = nr_report_form_parse(&k->a, in, k->east_s, f, &k->d);
    return err;
}

static int new (struct desk *k, const char *from, const char *lang,
    const char *collection)
{
    struct nr_report_form f = nr_report_form_empty();
    char id[NR_REPORT_ID_MAX];
    enum nr_err err;

    if (from) {
        err = from_file(k, from, &f);
    } else {
        struct report_ask ask = { .a = &k->a,
            .f = &f,
            .east_s = k->east_s,
            .own = k->own,
            .n_own = k->n_own,
            .japanese = report_is_japanese(lang) };

        err = report_ask(&ask, &k->d);
    }
    if (!err)
        err = make(k, &f, collection, id);
    if (err)
        return cli_fail(k->cli, &k->d);
    printf("%s\n", id);
    if (!from)
        report_told(report_is_japanese(lang), k->cli->program, id);
    return CLI_NOTHING;
}

/* The item of a kept report; the collection may be another one than then. */
static enum nr_err
put(struct desk *k, const char *id, const char *collection)
{
    const struct nr_json *j, *body;
    struct nr_report_form f = { 0 };
    char path[NR_PATH_MAX], out_id[NR_ITEM_ID_MAX];
    struct nr_str was = { "", 0 };
    struct nr_bytes in = { 0 };
    struct nr_json_out o;
    struct nr_buf b;
    enum nr_err err;

    nr_buf_init(&b, NR_ITEM_MAX);
    err = path_of(k, id, path);
    if (!err)
        err = nr_file_read(&k->a, path, NR_ITEM_MAX, &in, &k->d);
    if (!err)
        err = nr_json_parse(&k->a, in, &j, &k->d);
    if (err)
        goto out;
    body = nr_json_get(j, NR_STR("body"));
    if (!nr_json_get_str(body, NR_STR("collection"), &was)) {
        err = nr_fail_name(&k->d, NR_EDAMAGED, "report: not one of ours", path);
        goto out;
    }
    f.collection = was;
    err = choose_collection(k, &f, collection);
    if (err)
        goto out;
    nr_json_out_init(&o, &b);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("collection"), f.collection);
    nr_json_key(&o, NR_STR("tech"));
    nr_json_put_tree(&o, nr_json_get(body, NR_STR("tech")));
    nr_json_key(&o, NR_STR("damage"));
    nr_json_put_tree(&o, nr_json_get(body, NR_STR("damage")));
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    /* Sent to a second collection it is a second item. */
    (void)snprintf(out_id, sizeof(out_id), "%.44s%s%.*s", id,
        nr_str_eq(was, f.collection) ? "" : "-",
        nr_str_eq(was, f.collection) ? 0 : (int)nr_min(f.collection.n, 8),
        f.collection.p);
    if (!err)
        err = nr_outbox_put(k->cli->home, NR_BOX_PENDING,
            &(struct nr_item){ NR_STR("report"), nr_str_of(out_id),
                NR_STR("POST"), NR_STR("/v1/reports"), nr_buf_bytes(&b) },
            &k->d);
    if (!err) {
        nr_agent_nudge(k->cli->home);
        printf("%s\tpending\n", out_id);
    }
out:
    nr_buf_fini(&b);
    return err;
}

static int
send(struct desk *k, const char *what, const char *collection)
{
    struct nr_report_form f;
    char id[NR_REPORT_ID_MAX];
    enum nr_err err;

    if (strncmp(what, "report--", 8) != 0) { /* a form: make it first */
        err = from_file(k, what, &f);
        if (!err)
            err = make(k, &f, collection, id);
        if (!err)
            err = put(k, id, NULL);
    } else if (!nr_stix_id_is(nr_str_of(what), NR_STR("report"))) {
        err = nr_fail_name(&k->d, NR_EFORMAT, "report: not an id", what);
    } else {
        err = put(k, what, collection);
    }
    return err ? cli_fail(k->cli, &k->d) : CLI_NOTHING;
}

static int
status(struct desk *k)
{
    struct nr_names all = { 0 };
    struct nr_diag none = { 0 };
    char dir[NR_PATH_MAX];
    enum nr_err err = nr_path_join(dir, k->cli->home, "reports", &k->d);

    if (!err && access(dir, F_OK) == 0)
        err = nr_dir_list(&k->a, dir, REPORTS_MAX, &all, &k->d);
    for (size_t i = 0; i < all.n && !err; i++) {
        size_t n = strlen(all.v[i]);
        char id[NR_ITEM_ID_MAX];
        enum nr_box box;
        const char *where = "not sent";

        if (n < 6 || n - 5 >= sizeof(id) ||
            strcmp(all.v[i] + n - 5, ".json") != 0)
            continue;
        memcpy(id, all.v[i], n - 5);
        id[n - 5] = '\0';
        none = (struct nr_diag){ 0 };
        if (nr_outbox_find(k->cli->home, id, &box, &none) == NR_OK)
            where = nr_box_name(box);
        else if (none.err != NR_ENOTFOUND)
            return cli_fail(k->cli, &none);
        printf("%s\t%s\n", id, where);
    }
    return err ? cli_fail(k->cli, &k->d) : CLI_NOTHING;
}

int
cmd_report(struct cli *cli, int argc, char **argv)
{
    const char *from = NULL, *lang = NULL, *collection = NULL;
    const struct cli_option table[] = {
        { "from", 0, CLI_TEXT, &from },
        { "lang", 0, CLI_TEXT, &lang },
        { "collection", 0, CLI_TEXT, &collection },
        { "home", 0, CLI_TEXT, &cli->home },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct desk k = { 0 };
    int n, result;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (lang && strcmp(lang, "ja") != 0 && strcmp(lang, "en") != 0)
        return cli_error(cli, "--lang: ja or en, not %s", lang);
    if (desk_init(&k, cli))
        result = cli_fail(cli, &k.d);
    else if (n == 1 && strcmp(argv[0], "new") == 0)
        result = new (&k, from, lang, collection);
    else if (n == 2 && strcmp(argv[0], "send") == 0)
        result = send(&k, argv[1], collection);
    else if (n == 1 && strcmp(argv[0], "status") == 0)
        result = status(&k);
    else
        result = cli_usage(cli, usage);
    nr_arena_fini(&k.a);
    return result;
}
