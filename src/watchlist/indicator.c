/* Indicators without a list: roles, times. */
#include "watchlist/watchlist.h"

#include "base/date.h"

static const char *const roles[] = { "unknown", "c2", "delivery", "exfil",
    "malware", "phishing-sender", "credential-use", "scanner", "victim-asset",
    "contextual" };

const char *
nr_role_name(unsigned role)
{
    return roles[role < sizeof(roles) / sizeof(*roles) ? role : 0];
}

bool
nr_role_from_name(struct nr_str name, enum nr_role *role)
{
    for (unsigned i = 0; i < sizeof(roles) / sizeof(*roles); i++)
        if (nr_str_eq(name, nr_str_of(roles[i]))) {
            *role = (enum nr_role)i;
            return true;
        }
    return false;
}

struct nr_indicator
nr_indicator_of(enum nr_kind kind, struct nr_bytes key)
{
    return (struct nr_indicator){
        .kind = kind,
        .key = key,
        .said.date_s = NR_TIME_NONE,
        .valid_from_s = NR_TIME_NONE,
        .valid_until_s = NR_TIME_NONE,
        .first_seen_s = NR_TIME_NONE,
        .last_seen_s = NR_TIME_NONE,
    };
}

void
nr_indicator_window(const struct nr_indicator *i, int64_t now_s,
    int64_t *from_s, int64_t *to_s)
{
    bool seen = i->first_seen_s != NR_TIME_NONE ||
        i->last_seen_s != NR_TIME_NONE;
    int64_t from = seen ? i->first_seen_s : i->valid_from_s;
    int64_t to = seen ? i->last_seen_s : i->valid_until_s;

    if (to == NR_TIME_NONE)
        to = now_s > from ? now_s : from;
    if (from == NR_TIME_NONE || from > to)
        from = to;
    *from_s = from;
    *to_s = to;
}
