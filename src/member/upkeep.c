/* The archive over years: what is past its time goes, small segments become
 * few. Done by the keeper when nothing else waits. */
#include "archive/compact.h"
#include "base/ct.h"
#include "member/agent.h"
#include "member/private.h"

#include <stdio.h>

#define DAY_MS      INT64_C(86400000)
#define BUSY_MS     INT64_C(60000) /* another one writes to the archive */
#define FAILED_MS   INT64_C(600000)
#define PLAN_MEMORY ((size_t)256 << 20)
#define KEEP_MB     UINT64_C(1000000)
#define KEEP_PARTS  8 /* a segment's span is that part of what is kept */

bool
nr_config_keep(const struct nr_config *c, int64_t today,
    struct nr_keep_rule *out)
{
    struct nr_str v;
    uint64_t n;
    char key[64];
    bool any = false;

    *out = (struct nr_keep_rule){ .before = NR_KEEP_ALWAYS };
    if (nr_config_get(c, NR_STR("keep"), &v) && nr_str_to_u64(v, &n)) {
        out->before = today - (int64_t)n;
        any = true;
    }
    if (nr_config_get(c, NR_STR("keep-size"), &v) && nr_str_to_u64(v, &n)) {
        out->max_octets = n * KEEP_MB;
        any = true;
    }
    for (unsigned bit = 0; bit < NR_LOG_KINDS; bit++) {
        (void)snprintf(key, sizeof(key), "keep.%s", nr_log_kind_name(bit));
        if (!nr_config_get(c, nr_str_of(key), &v) || !nr_str_to_u64(v, &n))
            continue;
        out->own |= 1u << bit;
        out->kind_before[bit] = today - (int64_t)n;
        any = true;
    }
    return any;
}

static void
say_problem(void *ctx, const struct nr_diag *d)
{
    nr_agent_log_diag(ctx, d);
}

/* Drop what RULE says, and say what can no longer be answered for. */
static enum nr_err
retain(struct nr_agent *ag, struct nr_archive *a,
    const struct nr_keep_rule *rule, const struct nr_holds *holds,
    struct nr_diag *d)
{
    struct nr_keep_plan p = { 0 };
    struct nr_arena arena;
    size_t n = 0;
    enum nr_err err;

    nr_arena_init(&arena, PLAN_MEMORY);
    err = nr_keep_plan(a, rule, holds, &arena, &p, d);
    for (size_t i = 0; !err && p.n_drop > 0 && i < p.n_losses; i++) {
        char from[NR_RFC3339_MAX], to[NR_RFC3339_MAX];

        nr_agent_log(ag, "archive: %s of %s to %s are dropped",
            nr_log_kind_name(p.losses[i].kind),
            nr_day_print(p.losses[i].days.from, from),
            nr_day_print(p.losses[i].days.to, to));
    }
    if (!err && p.n_drop > 0)
        err = nr_keep_drop(a, &p, &n, d);
    if (n > 0)
        nr_agent_log(ag, "archive: dropped %zu segments past their time", n);
    nr_arena_fini(&arena);
    return err;
}

static void
merged(void *ctx, const struct nr_compact_merge *m)
{
    nr_agent_log(ctx, "archive: %zu segments became one, %llu octets %llu",
        m->segments, (unsigned long long)m->from, (unsigned long long)m->to);
}

static enum nr_err
compact(struct nr_agent *ag, struct nr_archive *a,
    const struct nr_keep_rule *rule, const struct nr_holds *holds, bool *more,
    struct nr_diag *d)
{
    int64_t now = nr_env_now_s(ag->env), today = nr_day_of(now);
    struct nr_compact_options o = { .now_s = now,
        .memory = NR_ARCHIVE_MEMORY_MIN,
        .span_days = NR_SEGMENT_SPAN_DAYS,
        .same_kinds = rule->own != 0,
        .merges = 1,
        .holds = holds,
        .merged = merged,
        .merged_ctx = ag };
    struct nr_compacted got = { 0 };
    struct nr_str value;
    uint64_t mb;
    enum nr_err err;

    if (nr_config_get(&ag->config, NR_STR("memory"), &value) &&
        nr_str_to_u64(value, &mb))
        o.memory = (size_t)mb * 1000 * 1000;
    if (rule->before != NR_KEEP_ALWAYS &&
        (today - rule->before) / KEEP_PARTS < o.span_days)
        o.span_days = (today - rule->before) / KEEP_PARTS;
    for (unsigned bit = 0; bit < NR_LOG_KINDS; bit++)
        if ((rule->own >> bit & 1) &&
            (today - rule->kind_before[bit]) / KEEP_PARTS < o.span_days)
            o.span_days = (today - rule->kind_before[bit]) / KEEP_PARTS;
    if (o.span_days < 1)
        o.span_days = 1;
    err = nr_archive_compact(a, &o, &got, d);
    *more = got.more && got.merges > 0;
    return err;
}

/* Write to the archive for a while. A drop makes what is open another archive:
 * what is merged is merged the next time. */
static enum nr_err
work(struct nr_agent *ag, struct nr_upkeep *u, struct nr_diag *d)
{
    struct nr_archive_caller problem = { .say = say_problem, .ctx = ag };
    struct nr_archive_key key = { 0 };
    struct nr_keep_rule rule;
    struct nr_holds holds = { 0 };
    struct nr_archive *a = NULL;
    struct nr_arena arena;
    char path[NR_PATH_MAX];
    bool keeps = nr_config_keep(&ag->config, nr_day_of(nr_env_now_s(ag->env)),
        &rule);
    bool keep = keeps && u->keep, more = false;
    enum nr_err err = nr_path_join(path, ag->home, NR_HOME_ARCHIVE, d);

    nr_arena_init(&arena, PLAN_MEMORY);
    if (!err)
        err = nr_agent_key(ag, path, &key, &problem.key, d);
    if (!err)
        err = nr_archive_open(path, NR_ARCHIVE_WRITE, &problem, &a, d);
    nr_wipe(&key, sizeof(key));
    if (!err)
        err = nr_holds_read(path, &arena, &holds, d);
    if (!err && keep)
        err = retain(ag, a, &rule, &holds, d);
    else if (!err)
        err = compact(ag, a, &rule, &holds, &more, d);
    nr_archive_close(a);
    nr_arena_fini(&arena);
    if (err)
        return err;
    u->keep = false;
    u->due = keep || more;
    return NR_OK;
}

void
nr_upkeep_open(struct nr_upkeep *u)
{
    *u = (struct nr_upkeep){ .due = true, .keep = true };
    u->next_day_ms = nr_agent_clock_ms() + DAY_MS;
}

int
nr_upkeep_timeout(const struct nr_upkeep *u)
{
    int64_t now = nr_agent_clock_ms();
    int64_t at = u->due ? u->not_before_ms : u->next_day_ms;

    return at > now ? (int)(at - now) : 0;
}

void
nr_upkeep_run(struct nr_agent *ag, struct nr_upkeep *u)
{
    int64_t now = nr_agent_clock_ms();
    struct nr_diag d = { 0 };
    enum nr_err err;

    if (now >= u->next_day_ms) {
        u->due = u->keep = true;
        u->next_day_ms = now + DAY_MS;
    }
    if (!u->due || now < u->not_before_ms)
        return;
    err = work(ag, u, &d);
    if (!err)
        return;
    if (err != NR_EBUSY)
        nr_agent_log_diag(ag, &d);
    u->not_before_ms = now + (err == NR_EBUSY ? BUSY_MS : FAILED_MS);
}
