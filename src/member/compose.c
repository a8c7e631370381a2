/* From a set of indicators to answers: hunt, log, outbox. */
#include "archive/archive.h"
#include "archive/coverage.h"
#include "logline/logline.h"
#include "member/agent.h"
#include "member/private.h"
#include "observable/observable.h"
#include "watchlist/watchlist.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GAPS_MAX     100 /* gaps named in one answer; the rest is in coverage */
#define COUNT_MAX    999999999            /* STIX 2.1 section 5.2.1, count */
#define REFRESH_US   (3600 * NR_US_PER_S) /* counts alone: once an hour */
#define ANSWERS_PATH "/v1/answers"
#define UUID_LEN     16
#define SENTENCE_MAX ((size_t)1 << 16)

/* The standing of one indicator over all the values that it names. */
struct standing {
    enum nr_answer_kind answer;
    uint64_t lines, denied, days;
    int64_t first_s, last_s;
    uint32_t kinds, notes;
    double coverage;
    struct nr_days window;
    const struct nr_answer *widest; /* whose gaps are shown; NULL: none */
};

static struct standing
combine(const struct nr_batch *b, const struct nr_case *k)
{
    struct standing s = { NR_ANSWER_CANNOT_SAY, .first_s = NR_TIME_NONE,
        .last_s = NR_TIME_NONE, .window = { 1, 0 } };

    for (size_t i = k->first; i < k->first + k->n; i++) {
        const struct nr_answer *a = &b->answers[i];

        s.lines += a->lines;
        s.denied += a->denied;
        s.days = a->days > s.days ? a->days : s.days;
        if (a->first_s != NR_TIME_NONE &&
            (s.first_s == NR_TIME_NONE || a->first_s < s.first_s))
            s.first_s = a->first_s;
        if (a->last_s != NR_TIME_NONE && a->last_s > s.last_s)
            s.last_s = a->last_s;
        s.kinds |= a->kinds;
        s.notes |= a->notes;
        s.coverage += a->coverage / (double)k->n;
        if (a->window.from <= a->window.to) {
            if (!s.widest || a->window.from < s.window.from)
                s.window.from = a->window.from;
            if (!s.widest || a->window.to > s.window.to)
                s.window.to = a->window.to;
            if (!s.widest || a->coverage < s.widest->coverage)
                s.widest = a;
        }
        if (a->answer > s.answer)
            s.answer = a->answer;
    }
    /* Seen and denied stand by a line; without one it is the mean that says
     * whether "not seen" may be said. */
    if (s.answer == NR_ANSWER_NOT_SEEN && s.coverage < NR_COVERAGE_MIN)
        s.answer = NR_ANSWER_CANNOT_SAY;
    return s;
}

static void
put_time(struct nr_json_out *o, struct nr_str name, int64_t s)
{
    nr_json_key(o, name);
    if (s == NR_TIME_NONE)
        nr_json_put_null(o);
    else
        nr_json_put_i64(o, s);
}

static void
put_day(struct nr_json_out *o, int64_t day)
{
    char buf[NR_RFC3339_MAX];

    nr_json_put_str(o, nr_str_of(nr_day_print(day, buf)));
}

static void
put_stamp(struct nr_json_out *o, struct nr_str name, int64_t s)
{
    char buf[NR_RFC3339_MAX];

    nr_json_member_str(o, name, nr_str_of(nr_time_print(s, buf)));
}

static void
put_coverage(struct nr_json_out *o, const struct standing *s)
{
    nr_json_key(o, NR_STR("x_noroshi_coverage"));
    nr_json_open_object(o);
    nr_json_key(o, NR_STR("coverage"));
    nr_json_put_double(o, s->coverage);
    nr_json_key(o, NR_STR("kinds"));
    nr_json_open_array(o);
    for (unsigned bit = 0; bit < NR_LOG_KINDS; bit++)
        if (s->kinds & 1u << bit)
            nr_json_put_str(o, nr_str_of(nr_log_kind_name(bit)));
    nr_json_close_array(o);
    if (s->widest) {
        nr_json_key(o, NR_STR("from"));
        put_day(o, s->window.from);
        nr_json_key(o, NR_STR("to"));
        put_day(o, s->window.to);
        nr_json_key(o, NR_STR("gaps"));
        nr_json_open_array(o);
        for (size_t i = 0; i < s->widest->n_gaps && i < GAPS_MAX; i++) {
            nr_json_open_array(o);
            put_day(o, s->widest->gaps[i].from);
            put_day(o, s->widest->gaps[i].to);
            nr_json_close_array(o);
        }
        nr_json_close_array(o);
    }
    nr_json_key(o, NR_STR("notes"));
    nr_json_open_array(o);
    for (unsigned bit = 0; bit < NR_NOTES; bit++)
        if (s->notes & 1u << bit)
            nr_json_put_str(o, nr_str_of(nr_note_name(bit)));
    nr_json_close_array(o);
    nr_json_member_str(o, NR_STR("engine"), NR_STR("noroshi " NR_VERSION));
    nr_json_member_bool(o, NR_STR("blind"), false);
    nr_json_close_object(o);
}

/* The id of this member's answer to an indicator is always the same. */
static void
sighting_id(const struct nr_agent *ag, struct nr_str indicator,
    char out[NR_UUID_MAX])
{
    uint8_t ns[UUID_LEN] = { 0 };
    struct nr_str member = ag->m.member;
    char hex[UUID_LEN * 2];
    size_t n = 0;

    for (size_t i = 0; i < member.n; i++)
        if (member.n - i <= NR_UUID_MAX - 1 && member.p[i] != '-' &&
            n < sizeof(hex))
            hex[n++] = member.p[i];
    if (n < sizeof(hex) ||
        !nr_hex_parse((struct nr_bytes){ (uint8_t *)hex, n }, ns, UUID_LEN))
        memset(ns, 0, sizeof(ns)); /* no UUID: still one id per indicator */
    nr_uuid5(ns, nr_bytes_of(indicator), out);
}

/* STIX 2.1 section 5.2, with count 0 for "looked, and did not find". */
static enum nr_err
put_sighting(const struct nr_agent *ag, const struct nr_case *k,
    const struct standing *s, int64_t created_us, int64_t now_us,
    struct nr_buf *buf)
{
    char uuid[NR_UUID_MAX], id[NR_UUID_MAX + 16], when[NR_RFC3339_MAX];
    struct nr_json_out o;

    sighting_id(ag, k->id, uuid);
    nr_text_cut(id, sizeof(id), "sighting--%s", uuid);
    nr_json_out_init(&o, buf);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("type"), NR_STR("sighting"));
    nr_json_member_str(&o, NR_STR("spec_version"), NR_STR("2.1"));
    nr_json_member_str(&o, NR_STR("id"), nr_str_of(id));
    nr_json_member_str(&o, NR_STR("created_by_ref"), ag->m.member);
    nr_json_member_str(&o, NR_STR("created"),
        nr_str_of(nr_time_print_us(created_us, when)));
    nr_json_member_str(&o, NR_STR("modified"),
        nr_str_of(nr_time_print_us(now_us, when)));
    nr_json_member_str(&o, NR_STR("sighting_of_ref"), k->id);
    nr_json_member_i64(&o, NR_STR("count"),
        s->lines < COUNT_MAX ? (int64_t)s->lines : COUNT_MAX);
    if (s->lines > 0 && s->first_s != NR_TIME_NONE) {
        put_stamp(&o, NR_STR("first_seen"), s->first_s);
        put_stamp(&o, NR_STR("last_seen"), s->last_s);
    }
    nr_json_key(&o, NR_STR("where_sighted_refs"));
    nr_json_open_array(&o);
    nr_json_put_str(&o, ag->m.member);
    nr_json_close_array(&o);
    nr_json_member_str(&o, NR_STR("x_noroshi_answer"),
        nr_str_of(nr_answer_name(s->answer)));
    nr_json_member_i64(&o, NR_STR("x_noroshi_denied"),
        s->denied < COUNT_MAX ? (int64_t)s->denied : COUNT_MAX);
    put_coverage(&o, s);
    nr_json_close_object(&o);
    return nr_json_out_end(&o);
}

static void
put_values(struct nr_json_out *o, const struct nr_batch *b,
    const struct nr_case *k)
{
    struct nr_buf text;

    nr_buf_init(&text, NR_KEY_MAX * 2);
    nr_json_key(o, NR_STR("values"));
    nr_json_open_array(o);
    for (size_t i = k->first; i < k->first + k->n; i++) {
        const struct nr_indicator *x = b->entries[i];
        const struct nr_answer *a = &b->answers[i];

        nr_buf_reset(&text);
        nr_canon_print(x->kind, x->key, &text);
        nr_json_open_object(o);
        nr_json_member_str(o, NR_STR("kind"), nr_str_of(nr_kind_name(x->kind)));
        nr_json_key(o, NR_STR("value"));
        nr_json_put_bytes(o, nr_buf_bytes(&text));
        put_time(o, NR_STR("valid_from"), x->valid_from_s);
        put_time(o, NR_STR("valid_until"), x->valid_until_s);
        put_time(o, NR_STR("first_seen"), x->first_seen_s);
        put_time(o, NR_STR("last_seen"), x->last_seen_s);
        if (x->warn.n > 0)
            nr_json_member_str(o, NR_STR("warn"), x->warn);
        nr_json_member_str(o, NR_STR("answer"),
            nr_str_of(nr_answer_name(a->answer)));
        nr_json_member_i64(o, NR_STR("lines"), (int64_t)a->lines);
        nr_json_member_i64(o, NR_STR("denied"), (int64_t)a->denied);
        put_time(o, NR_STR("first"), a->first_s);
        put_time(o, NR_STR("last"), a->last_s);
        nr_json_close_object(o);
    }
    nr_json_close_array(o);
    nr_buf_fini(&text);
}

/* One line of the log, with its LF. SIGHTING: empty when nothing may leave. */
static enum nr_err
put_line(const struct nr_batch *b, const struct nr_case *k,
    const struct standing *s, const char *item, struct nr_bytes sighting,
    int64_t now_us, struct nr_buf *buf)
{
    char when[NR_RFC3339_MAX];
    struct nr_json_out o;
    enum nr_err err;

    nr_json_out_init(&o, buf);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("time"),
        nr_str_of(nr_time_print_us(now_us, when)));
    nr_json_member_str(&o, NR_STR("indicator"), k->id);
    nr_json_member_str(&o, NR_STR("version"), k->version);
    nr_json_member_str(&o, NR_STR("collection"), k->collection);
    nr_json_member_str(&o, NR_STR("answer"),
        k->revoked ? NR_STR("revoked") : nr_str_of(nr_answer_name(s->answer)));
    nr_json_member_i64(&o, NR_STR("lines"), (int64_t)s->lines);
    nr_json_member_i64(&o, NR_STR("denied"), (int64_t)s->denied);
    put_time(&o, NR_STR("first"), s->first_s);
    put_time(&o, NR_STR("last"), s->last_s);
    nr_json_member_i64(&o, NR_STR("days"), (int64_t)s->days);
    nr_json_key(&o, NR_STR("coverage"));
    nr_json_put_double(&o, s->coverage);
    nr_json_member_str(&o, NR_STR("item"), nr_str_of(item));
    put_values(&o, b, k);
    nr_json_key(&o, NR_STR("sighting"));
    if (sighting.n > 0)
        nr_json_put_raw(&o, sighting);
    else
        nr_json_put_null(&o);
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    nr_buf_put_c(buf, '\n');
    return err ? err : buf->err;
}

/* --- the outbox item --- */

static enum nr_err
put_item(struct nr_agent *ag, enum nr_share share, const char *id,
    struct nr_bytes sightings, bool *sent, struct nr_diag *d)
{
    bool hold = share == NR_SHARE_ASK || ag->dry_run;
    struct nr_item item = { .kind = NR_STR("answers"),
        .id = nr_str_of(id),
        .method = NR_STR("POST"),
        .path = NR_STR(ANSWERS_PATH) };
    struct nr_buf body;
    enum nr_err err;

    nr_buf_init(&body, NR_ITEM_MAX);
    nr_buf_put_str(&body, NR_STR("{\"answers\":["));
    nr_buf_put(&body, sightings);
    nr_buf_put_str(&body, NR_STR("]}"));
    item.body = nr_buf_bytes(&body);
    err = body.err;
    if (err)
        err = nr_fail(d, err, 0, "agent: no memory for an outbox item");
    else
        err = nr_outbox_put(ag->home, hold ? NR_BOX_HELD : NR_BOX_PENDING,
            &item, d);
    if (!err && !hold)
        *sent = true;
    nr_buf_fini(&body);
    return err;
}

/* --- batches --- */

/* What a pass over the cases of one policy gathers. */
struct pass {
    enum nr_share share;
    char item[NR_ITEM_ID_MAX]; /* "" until its first case */
    struct nr_buf lines, sightings;
    size_t n;
};

static void
name_item(const struct nr_agent *ag, const struct nr_case *k, int64_t now_us,
    struct pass *p)
{
    char name[NR_ANSWER_ID_MAX + 64], uuid[NR_UUID_MAX], first[NR_UUID_MAX];
    uint8_t ns[UUID_LEN] = { 0 };

    if (p->item[0] || p->share == NR_SHARE_NEVER)
        return;
    sighting_id(ag, k->id, first);
    nr_text_cut(name, sizeof(name), "%s %" PRId64, first, now_us);
    nr_uuid5(ns, nr_bytes_of(nr_str_of(name)), uuid);
    /* The time in front keeps the order of making in a listing. */
    nr_text_cut(p->item, sizeof(p->item), "%016" PRIx64 "-%.13s",
        (uint64_t)now_us, uuid);
}

/* Is the standing answer still good enough to be left alone? */
static bool
is_news(const struct nr_known *old, const struct standing *s,
    const struct nr_case *k, int64_t now_us)
{
    if (!old || old->version_us != k->version_us)
        return true;
    if (strcmp(nr_answer_word(old->word), nr_answer_name(s->answer)) != 0)
        return true;
    return (old->lines != s->lines || old->last_s != s->last_s) &&
        now_us - old->modified_us >= REFRESH_US;
}

static enum nr_err
take_case(struct nr_agent *ag, const struct nr_answer_log *log,
    const struct nr_batch *b, const struct nr_case *k, struct pass *p)
{
    const struct nr_known *old = nr_answer_log_find(log, k->id);
    struct standing s = combine(b, k);
    int64_t now_us = ag->env->now_us(ag->env->ctx);
    struct nr_buf one;
    enum nr_err err = NR_OK;

    if (b->only_changes && !is_news(old, &s, k, now_us))
        return NR_OK;
    /* Versions are told apart by milliseconds at most elsewhere. */
    now_us -= now_us % 1000;
    if (old && now_us <= old->modified_us)
        now_us = old->modified_us + 1000;
    nr_buf_init(&one, NR_ANSWER_LINE_MAX);
    if (k->revoked) {
        err = put_line(b, k, &s, "", nr_buf_bytes(&one), now_us, &p->lines);
    } else {
        name_item(ag, k, now_us, p);
        if (p->share != NR_SHARE_NEVER)
            err = put_sighting(ag, k, &s,
                old && old->created_us != NR_TIME_NONE ? old->created_us
                                                       : now_us,
                now_us, &one);
        if (!err)
            err = put_line(b, k, &s, p->item, nr_buf_bytes(&one), now_us,
                &p->lines);
        if (one.n > 0 && p->sightings.n > 0)
            nr_buf_put_c(&p->sightings, ',');
        nr_buf_put(&p->sightings, nr_buf_bytes(&one));
    }
    p->n++;
    if (!err)
        err = one.err ? one.err : p->sightings.err;
    nr_buf_fini(&one);
    return err;
}

/* The log first, then the outbox: what a crash leaves out between them is
 * made good by nr_answer_recover(). */
static enum nr_err
finish_pass(struct nr_agent *ag, struct nr_answer_log *log, struct pass *p,
    bool *sent, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (p->lines.n > 0)
        err = nr_answer_log_append(log, nr_buf_bytes(&p->lines), d);
    if (!err && p->sightings.n > 0)
        err = put_item(ag, p->share, p->item, nr_buf_bytes(&p->sightings), sent,
            d);
    nr_buf_reset(&p->lines);
    nr_buf_reset(&p->sightings);
    p->item[0] = 0;
    p->n = 0;
    return err;
}

static enum nr_err
answer_share(struct nr_agent *ag, struct nr_answer_log *log,
    const struct nr_batch *b, enum nr_share share, bool *sent,
    struct nr_diag *d)
{
    struct pass p = { .share = share };
    enum nr_err err = NR_OK;

    nr_buf_init(&p.lines, NR_WORK_MEMORY);
    nr_buf_init(&p.sightings, NR_ITEM_MAX);
    for (size_t i = 0; !err && i < b->n_cases; i++) {
        if (nr_share_of(&ag->config, b->cases[i].collection) != share)
            continue;
        err = take_case(ag, log, b, &b->cases[i], &p);
        if (err)
            err = nr_fail(d, err, 0, "agent: an answer cannot be written");
        else if (p.n == NR_BATCH_MAX)
            err = finish_pass(ag, log, &p, sent, d);
    }
    if (!err)
        err = finish_pass(ag, log, &p, sent, d);
    nr_buf_fini(&p.lines);
    nr_buf_fini(&p.sightings);
    return err;
}

/* What the answers of B come to, in one sentence, into HOME/log. */
static void
log_summary(const struct nr_agent *ag, const struct nr_archive *archive,
    const struct nr_batch *b)
{
    static const enum nr_lang langs[] = { NR_LANG_JA, NR_LANG_EN };
    struct nr_buf text;

    nr_buf_init(&text, SENTENCE_MAX);
    for (size_t i = 0; i < sizeof(langs) / sizeof(langs[0]); i++) {
        nr_buf_reset(&text);
        nr_coverage_sentence(archive, b->answers, b->n_entries, NULL, langs[i],
            &text);
        if (nr_buf_cstr(&text))
            nr_agent_log(ag, "answered: %s", nr_buf_cstr(&text));
    }
    nr_buf_fini(&text);
}

static enum nr_err
hunt(struct nr_agent *ag, struct nr_arena *a, struct nr_batch *b,
    struct nr_diag *d)
{
    struct nr_archive *archive = ag->archive;
    enum nr_err err = NR_OK;

    b->answers = nr_new(a, struct nr_answer, b->n_entries + 1);
    if (!b->answers)
        return nr_fail(d, NR_ENOMEM, 0, "agent: no memory to hunt");
    if (b->n_entries == 0)
        return NR_OK;
    if (!archive)
        err = nr_stand_archive(ag, &archive, d);
    if (!err)
        err = nr_stand_hunt(ag, archive, a, b->entries, b->n_entries,
            b->answers, d);
    if (!err && !b->only_changes)
        log_summary(ag, archive, b);
    if (archive != ag->archive)
        nr_archive_close(archive);
    return err;
}

enum nr_err
nr_answer_batch(struct nr_agent *ag, struct nr_answer_log *log,
    struct nr_arena *a, struct nr_batch *b, bool *sent, struct nr_diag *d)
{
    static const enum nr_share shares[] = { NR_SHARE_AUTO, NR_SHARE_ASK,
        NR_SHARE_NEVER };
    enum nr_err err = hunt(ag, a, b, d);

    for (size_t i = 0; !err && i < sizeof(shares) / sizeof(*shares); i++)
        err = answer_share(ag, log, b, shares[i], sent, d);
    return err;
}

/* --- recovery --- */

/* The sightings of the lines from log->item_at on that belong to its item. */
static enum nr_err
gather(const struct nr_answer_log *log, struct nr_arena *a,
    struct nr_buf *sightings, struct nr_str *collection, struct nr_diag *d)
{
    struct nr_bytes in;
    enum nr_err err = nr_answer_log_text(log, a, log->item_at,
        log->end - log->item_at, &in, d);

    while (!err && in.n > 0) {
        const uint8_t *lf = memchr(in.p, '\n', in.n);
        size_t n = lf ? (size_t)(lf - in.p) : in.n;
        struct nr_bytes line = nr_bytes_sub(in, 0, n);
        const struct nr_json *j = NULL, *s;
        struct nr_str item = { "", 0 };

        in = nr_bytes_sub(in, lf ? n + 1 : n, in.n);
        err = nr_json_parse(a, line, &j, d);
        s = nr_json_get(j, NR_STR("sighting"));
        (void)nr_json_get_str(j, NR_STR("item"), &item);
        if (err || !nr_json_is(s, NR_JSON_OBJECT) ||
            !nr_str_eq(item, nr_str_of(log->item)))
            continue;
        (void)nr_json_get_str(j, NR_STR("collection"), collection);
        if (sightings->n > 0)
            nr_buf_put_c(sightings, ',');
        nr_buf_put(sightings, nr_json_span(line, s));
    }
    return err;
}

enum nr_err
nr_answer_recover(struct nr_agent *ag, struct nr_answer_log *log, bool *sent,
    struct nr_diag *d)
{
    struct nr_str collection = { "", 0 };
    struct nr_buf sightings;
    struct nr_arena a;
    enum nr_box box;
    enum nr_err err;

    if (!log->item[0])
        return NR_OK;
    err = nr_outbox_find(ag->home, log->item, &box, NULL);
    if (err != NR_ENOTFOUND)
        return err ? nr_fail(d, err, 0, "agent: outbox cannot be read") : NR_OK;
    nr_arena_init(&a, NR_WORK_MEMORY);
    nr_buf_init(&sightings, NR_ITEM_MAX);
    err = gather(log, &a, &sightings, &collection, d);
    if (!err && sightings.n > 0) {
        nr_agent_log(ag, "outbox item %s was cut off by a crash: made anew",
            log->item);
        err = put_item(ag, nr_share_of(&ag->config, collection), log->item,
            nr_buf_bytes(&sightings), sent, d);
    }
    nr_buf_fini(&sightings);
    nr_arena_fini(&a);
    return err;
}
