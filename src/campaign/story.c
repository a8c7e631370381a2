#include "campaign/story.h"

#include "campaign/synth.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY ((size_t)256 << 20)

static struct nr_campaign_fact
fact(struct story *s, enum nr_campaign_fact_kind kind)
{
    return (struct nr_campaign_fact){ .kind = kind,
        .seq = ++s->seq,
        .day = s->day,
        .author = NOBODY };
}

static uint32_t
add(struct story *s, const struct nr_campaign_fact *f)
{
    uint32_t n = NOBODY;
    struct nr_diag d = { 0 };
    enum nr_err err = nr_campaign_add(s->c, f, &n, &s->chain, &d);

    if (err != NR_OK)
        fail_msg("%s (%s)", d.what, nr_err_name(err));
    return n;
}

static void
key(uint8_t out[NR_CAMPAIGN_KEY], uint64_t n)
{
    memset(out, 0, NR_CAMPAIGN_KEY);
    memcpy(out, &n, sizeof(n));
}

void
story_begin(struct story *s, uint32_t n, uint32_t k)
{
    const struct nr_campaign_mint mint = { synth_mint, NULL };
    struct nr_campaign_conf conf;
    struct nr_campaign_fact f;

    *s = (struct story){ .day = 18500 };
    s->c = nr_campaign_create(&mint, MEMORY);
    assert_non_null(s->c);
    nr_campaign_conf_default(&conf);
    conf.campaigns = k;
    conf.members = n;
    f = fact(s, NR_CAMPAIGN_CONF);
    f.u.conf = &conf;
    (void)add(s, &f);
    assert_int_equal(nr_campaign_rebuild(s->c, s->day, NULL), NR_OK);
    nr_campaign_forget(s->c);
}

void
story_end(struct story *s)
{
    nr_campaign_destroy(s->c);
}

uint32_t
story_org(struct story *s, int32_t joined)
{
    struct nr_campaign_fact f = fact(s, NR_CAMPAIGN_ORG);

    key(f.u.org.key, f.seq);
    f.u.org.joined = joined;
    return add(s, &f);
}

uint32_t
story_case(struct story *s, uint32_t org)
{
    struct nr_campaign_fact f;

    if (org == NOBODY)
        org = story_org(s, 0);
    f = fact(s, NR_CAMPAIGN_CASE);
    key(f.u.cas.key, f.seq);
    f.u.cas.org = org;
    return add(s, &f);
}

uint32_t
story_value(struct story *s, enum nr_campaign_type type)
{
    struct nr_campaign_fact f = fact(s, NR_CAMPAIGN_VALUE);

    key(f.u.value.key, f.seq);
    f.u.value.type = type;
    f.u.value.parent = NOBODY;
    return add(s, &f);
}

uint32_t
story_child(struct story *s, uint32_t parent)
{
    struct nr_campaign_fact f = fact(s, NR_CAMPAIGN_VALUE);

    key(f.u.value.key, f.seq);
    f.u.value.type = NR_CAMPAIGN_DOMAIN;
    f.u.value.parent = parent;
    return add(s, &f);
}

uint64_t
story_saw(struct story *s, uint32_t cas, uint32_t value, int32_t first,
    int32_t last, uint8_t conf, bool malicious)
{
    struct nr_campaign_fact f = fact(s, NR_CAMPAIGN_SAW);

    f.u.saw.cas = cas;
    f.u.saw.value = value;
    f.u.saw.first = first;
    f.u.saw.last = last;
    f.u.saw.conf = conf;
    f.u.saw.malicious = malicious;
    (void)add(s, &f);
    return f.seq;
}

uint64_t
story_note(struct story *s, enum nr_campaign_note_kind kind, uint32_t value,
    uint32_t arg, int32_t day)
{
    struct nr_campaign_fact f = fact(s, NR_CAMPAIGN_NOTE);

    f.u.note.kind = kind;
    f.u.note.value = value;
    f.u.note.arg = arg;
    f.u.note.day = day;
    (void)add(s, &f);
    return f.seq;
}

uint64_t
story_related(struct story *s, uint32_t a, uint32_t b, int32_t first,
    int32_t last)
{
    struct nr_campaign_fact f = fact(s, NR_CAMPAIGN_RELATED);

    f.u.related.a = a;
    f.u.related.b = b;
    f.u.related.first = first;
    f.u.related.last = last;
    (void)add(s, &f);
    return f.seq;
}

enum nr_err
story_says(struct story *s, enum nr_campaign_says_kind kind, uint32_t a,
    uint32_t b)
{
    struct nr_campaign_fact f = fact(s, NR_CAMPAIGN_SAYS);

    f.u.says.kind = kind;
    f.u.says.a = a;
    f.u.says.b = b;
    f.u.says.expires = NR_CAMPAIGN_EVER;
    f.u.says.reviewer = NOBODY;
    return nr_campaign_add(s->c, &f, NULL, &s->chain, NULL);
}

uint64_t
story_retract(struct story *s, uint64_t seq)
{
    struct nr_campaign_fact f = fact(s, NR_CAMPAIGN_RETRACT);

    f.u.retract.seq = seq;
    (void)add(s, &f);
    return f.seq;
}

void
story_settle(struct story *s)
{
    struct nr_diag d = { 0 };

    if (nr_campaign_settle(s->c, 0, NULL, &d) != NR_OK)
        fail_msg("%s", d.what);
}

void
story_check(struct story *s)
{
    struct nr_campaign_totals before, after;
    uint32_t *was;

    story_settle(s);
    nr_campaign_totals(s->c, &before);
    was = calloc(before.cases + 1, sizeof(*was));
    assert_non_null(was);
    for (uint32_t i = 0; i < before.cases; i++)
        was[i] = nr_campaign_of(s->c, i);
    assert_int_equal(nr_campaign_rebuild(s->c, s->day, NULL), NR_OK);
    nr_campaign_totals(s->c, &after);
    for (uint32_t i = 0; i < before.cases; i++)
        assert_int_equal(was[i], nr_campaign_of(s->c, i));
    assert_int_equal(before.links, after.links);
    assert_int_equal(before.suggestions, after.suggestions);
    free(was);
}

struct nr_campaign_pair
story_pair(struct story *s, uint32_t a, uint32_t b)
{
    struct nr_campaign_pair p;

    assert_int_equal(nr_campaign_why(s->c, a, b, NULL, 0, &p), NR_OK);
    return p;
}

struct nr_campaign_item
story_item(struct story *s, uint32_t a, uint32_t b, uint32_t value)
{
    struct nr_campaign_item items[32];
    struct nr_campaign_pair p;

    assert_int_equal(nr_campaign_why(s->c, a, b, items, 32, &p), NR_OK);
    for (uint32_t i = 0; i < p.n && i < 32; i++)
        if (items[i].value == value)
            return items[i];
    fail_msg("value %u is not shared by %u and %u", value, a, b);
    return items[0];
}

bool
story_linked(struct story *s, uint32_t a, uint32_t b)
{
    return story_pair(s, a, b).linked;
}

bool
story_together(struct story *s, uint32_t a, uint32_t b)
{
    uint32_t x = nr_campaign_of(s->c, a);

    return x != NOBODY && x == nr_campaign_of(s->c, b);
}

uint32_t
story_events(struct story *s, enum nr_campaign_event_kind k)
{
    size_t n;
    const struct nr_campaign_event *e = nr_campaign_events(s->c, &n);
    uint32_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += e[i].kind == k;
    return found;
}
