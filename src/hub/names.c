#include "hub/hub.h"

static const char *const roles[NR_HUB_ROLES] = {
    [NR_HUB_ROLE_MEMBER] = "member",
    [NR_HUB_ROLE_BRIEFING] = "briefing",
    [NR_HUB_ROLE_COORDINATOR] = "coordinator",
    [NR_HUB_ROLE_CSIRT] = "csirt",
    [NR_HUB_ROLE_POLICE] = "police",
    [NR_HUB_ROLE_DEFENCE] = "defence",
};

const char *
nr_hub_role_name(enum nr_hub_role r)
{
    return (unsigned)r < NR_HUB_ROLES ? roles[r] : "unknown";
}

bool
nr_hub_role_from_name(struct nr_str s, enum nr_hub_role *out)
{
    for (unsigned i = 0; i < NR_HUB_ROLES; i++) {
        if (!nr_str_eq(s, nr_str_of(roles[i])))
            continue;
        *out = (enum nr_hub_role)i;
        return true;
    }
    return false;
}

bool
nr_hub_role_is_authority(enum nr_hub_role r)
{
    return r == NR_HUB_ROLE_COORDINATOR || r == NR_HUB_ROLE_CSIRT ||
        r == NR_HUB_ROLE_POLICE || r == NR_HUB_ROLE_DEFENCE;
}

bool
nr_scope_from_name(struct nr_str s, unsigned *out)
{
    unsigned scope = 0;

    while (s.n > 0) {
        struct nr_str rest, word = nr_str_cut(s, ',', &rest);

        if (nr_str_eq(word, NR_STR("read")))
            scope |= NR_SCOPE_READ;
        else if (nr_str_eq(word, NR_STR("write")))
            scope |= NR_SCOPE_WRITE;
        else if (nr_str_eq(word, NR_STR("all")))
            scope |= NR_SCOPE_ALL;
        else
            return false;
        s = rest;
    }
    *out = scope;
    return scope != 0;
}
