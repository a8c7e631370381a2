#include "hub/hub.h"

static const char *const roles[NR_ROLES] = {
    [NR_ROLE_MEMBER] = "member",
    [NR_ROLE_BRIEFING] = "briefing",
    [NR_ROLE_COORDINATOR] = "coordinator",
    [NR_ROLE_CSIRT] = "csirt",
    [NR_ROLE_POLICE] = "police",
    [NR_ROLE_DEFENCE] = "defence",
};

const char *
nr_role_name(enum nr_role r)
{
    return (unsigned)r < NR_ROLES ? roles[r] : "unknown";
}

bool
nr_role_from_name(struct nr_str s, enum nr_role *out)
{
    for (unsigned i = 0; i < NR_ROLES; i++) {
        if (!nr_str_eq(s, nr_str_of(roles[i])))
            continue;
        *out = (enum nr_role)i;
        return true;
    }
    return false;
}

bool
nr_role_is_authority(enum nr_role r)
{
    return r == NR_ROLE_COORDINATOR || r == NR_ROLE_CSIRT ||
        r == NR_ROLE_POLICE || r == NR_ROLE_DEFENCE;
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
