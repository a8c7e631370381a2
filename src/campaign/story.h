/* Telling the engine a story in tests: one line a fact. */
#ifndef NR_CAMPAIGN_STORY_H
#define NR_CAMPAIGN_STORY_H

#include "base/test.h"
#include "campaign/campaign.h"

#define NOBODY NR_CAMPAIGN_NONE

struct story {
    struct nr_campaigns *c;
    uint64_t seq;
    int32_t day;
    struct nr_campaign_chain chain;
};

/* N organisations, members since long; K: campaigns for P, 0: counted. */
void story_begin(struct story *s, uint32_t n, uint32_t k);
void story_end(struct story *s);
uint32_t story_org(struct story *s, int32_t joined);
uint32_t story_case(struct story *s, uint32_t org);
uint32_t story_value(struct story *s, enum nr_campaign_type type);
uint32_t story_child(struct story *s, uint32_t parent);
/* Returns its seq. */
uint64_t story_saw(struct story *s, uint32_t cas, uint32_t value, int32_t first,
    int32_t last, uint8_t conf, bool malicious);
uint64_t story_note(struct story *s, enum nr_campaign_note_kind kind,
    uint32_t value, uint32_t arg, int32_t day);
uint64_t story_related(struct story *s, uint32_t a, uint32_t b, int32_t first,
    int32_t last);
enum nr_err story_says(struct story *s, enum nr_campaign_says_kind kind,
    uint32_t a, uint32_t b);
uint64_t story_retract(struct story *s, uint64_t seq);
void story_settle(struct story *s);
/* Settled, and equal in campaigns and links to what a rebuild finds. */
void story_check(struct story *s);
struct nr_campaign_pair story_pair(struct story *s, uint32_t a, uint32_t b);
struct nr_campaign_item story_item(struct story *s, uint32_t a, uint32_t b,
    uint32_t value);
bool story_linked(struct story *s, uint32_t a, uint32_t b);
bool story_together(struct story *s, uint32_t a, uint32_t b);
uint32_t story_events(struct story *s, enum nr_campaign_event_kind k);

#endif
