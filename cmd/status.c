/* noroshi status: how a home stands. */
#include "archive/standing.h"
#include "base/file.h"
#include "cmds.h"
#include "member/member.h"
#include "json/json.h"

#include <inttypes.h>
#include <stdio.h>

#define MEMORY ((size_t)512 << 20)

struct status {
    struct nr_config config;
    struct nr_membership m;
    bool joined, running;
    int64_t pid;
    size_t boxes[NR_BOXES];
    struct nr_answer_counts answers;
    struct nr_standing_stat standing; /* zeros: nothing was asked yet */
};

/* What the standing hunt has done; a home without one has asked nothing. */
static enum nr_err
gather_standing(struct cli *cli, struct status *s, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_standing *standing = NULL;
    struct nr_diag why = { 0 };
    enum nr_err err = nr_path_join(path, cli->home, NR_HOME_STANDING, d);

    if (err)
        return err;
    err = nr_standing_open(path, false, &standing, NULL, &why);
    if (!err)
        nr_standing_stat(standing, &s->standing);
    nr_standing_close(standing);
    if (err && err != NR_ENOTFOUND && d)
        *d = why;
    return err == NR_ENOTFOUND ? NR_OK : err;
}

static enum nr_err
gather(struct cli *cli, struct nr_arena *a, struct status *s, struct nr_diag *d)
{
    enum nr_err err = nr_home_check(cli->home, d);

    if (!err)
        err = nr_config_read(a, cli->home, &s->config, d);
    if (err)
        return err;
    err = nr_membership_read(a, cli->home, &s->m, d);
    if (err && err != NR_ENOTFOUND)
        return err;
    s->joined = !err;
    s->running = nr_agent_running(cli->home, &s->pid);
    for (int box = 0; box < NR_BOXES; box++) {
        struct nr_names names;

        err = nr_outbox_list(a, cli->home, (enum nr_box)box, &names, d);
        if (err)
            return err;
        s->boxes[box] = names.n;
    }
    err = gather_standing(cli, s, d);
    return err ? err : nr_answers_count(cli->home, &s->answers, d);
}

static void
print_text(const struct cli *cli, const struct status *s)
{
    size_t at = 0;
    struct nr_str source;

    printf("home\t%s\n", cli->home);
    printf("hub\t%s\n", s->joined ? s->m.address.base : "none");
    if (s->joined)
        printf("member\t%.*s\nkey expires\t%.*s\n", NR_FMT(s->m.member),
            NR_FMT(s->m.expires));
    for (size_t i = 0; i < s->m.n_collections; i++)
        printf("collection\t%.*s\t%.*s\tshare %s\n",
            NR_FMT(s->m.collections[i].id), NR_FMT(s->m.collections[i].title),
            nr_share_name(nr_share_of(&s->config, s->m.collections[i].id)));
    while (nr_config_next(&s->config, NR_STR("source"), &at, &source))
        printf("source\t%.*s\n", NR_FMT(source));
    if (s->running)
        printf("agent\trunning\t%" PRId64 "\n", s->pid);
    else
        printf("agent\tnot running\n");
    for (int box = 0; box < NR_BOXES; box++)
        printf("outbox %s\t%zu\n", nr_box_name((enum nr_box)box),
            s->boxes[box]);
    for (int i = 0; i < NR_ANSWER_WORDS; i++)
        printf("answers %s\t%zu\n", nr_answer_word(i), s->answers.n[i]);
    printf("standing values\t%" PRIu64 "\nstanding segments\t%" PRIu64
           "\nstanding behind\t%" PRIu64 "\n",
        s->standing.values, s->standing.segments, s->standing.behind);
}

static enum nr_err
print_json(const struct cli *cli, const struct status *s)
{
    struct nr_json_out o;
    struct nr_buf b;
    enum nr_err err;

    nr_buf_init(&b, (size_t)16 << 20);
    nr_json_out_init(&o, &b);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("home"), nr_str_of(cli->home));
    nr_json_key(&o, NR_STR("hub"));
    if (s->joined) {
        nr_json_put_str(&o, nr_str_of(s->m.address.base));
        nr_json_member_str(&o, NR_STR("member"), s->m.member);
        nr_json_member_str(&o, NR_STR("expires"), s->m.expires);
    } else {
        nr_json_put_null(&o);
    }
    nr_json_key(&o, NR_STR("collections"));
    nr_json_open_array(&o);
    for (size_t i = 0; i < s->m.n_collections; i++) {
        const struct nr_collection *c = &s->m.collections[i];

        nr_json_open_object(&o);
        nr_json_member_str(&o, NR_STR("id"), c->id);
        nr_json_member_str(&o, NR_STR("title"), c->title);
        nr_json_member_str(&o, NR_STR("share"),
            nr_str_of(nr_share_name(nr_share_of(&s->config, c->id))));
        nr_json_close_object(&o);
    }
    nr_json_close_array(&o);
    nr_json_member_bool(&o, NR_STR("running"), s->running);
    nr_json_key(&o, NR_STR("outbox"));
    nr_json_open_object(&o);
    for (int box = 0; box < NR_BOXES; box++)
        nr_json_member_i64(&o, nr_str_of(nr_box_name((enum nr_box)box)),
            (int64_t)s->boxes[box]);
    nr_json_close_object(&o);
    nr_json_key(&o, NR_STR("answers"));
    nr_json_open_object(&o);
    for (int i = 0; i < NR_ANSWER_WORDS; i++)
        nr_json_member_i64(&o, nr_str_of(nr_answer_word(i)),
            (int64_t)s->answers.n[i]);
    nr_json_close_object(&o);
    nr_json_key(&o, NR_STR("standing"));
    nr_json_open_object(&o);
    nr_json_member_i64(&o, NR_STR("values"), (int64_t)s->standing.values);
    nr_json_member_i64(&o, NR_STR("segments"), (int64_t)s->standing.segments);
    nr_json_member_i64(&o, NR_STR("behind"), (int64_t)s->standing.behind);
    nr_json_member_i64(&o, NR_STR("found"), (int64_t)s->standing.found);
    nr_json_close_object(&o);
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    if (!err)
        printf("%.*s\n", (int)b.n, (const char *)b.p);
    nr_buf_fini(&b);
    return err;
}

int
cmd_status(struct cli *cli, int argc, char **argv)
{
    bool json = false;
    const struct cli_option options[] = {
        { "home", 0, CLI_TEXT, &cli->home },
        { "json", 0, CLI_FLAG, &json },
        { 0 },
    };
    const char *usage = "[--home DIR] [--json]";
    struct status s = { 0 };
    struct nr_diag d = { 0 };
    struct nr_arena a;
    enum nr_err err;
    int n;

    if (!cli_parse(cli, options, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n > 0)
        return cli_usage(cli, usage);
    nr_arena_init(&a, MEMORY);
    err = gather(cli, &a, &s, &d);
    if (!err && json)
        err = print_json(cli, &s);
    else if (!err)
        print_text(cli, &s);
    nr_arena_fini(&a);
    if (err && d.err == NR_OK)
        return cli_error(cli, "out of memory");
    return err ? cli_fail(cli, &d) : CLI_NOTHING;
}
