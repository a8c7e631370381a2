/* Domain names: what they may look like, and where registration happens. */
#include "observable/observable.h"
#include "observable/rules.h"

#include <libpsl.h>
#include <stdlib.h>
#include <string.h>

static bool
is_lower_alnum(uint8_t c)
{
    return nr_is_digit(c) || (uint8_t)(c - 'a') < 26;
}

bool
nr_tld_is_sound(struct nr_bytes label)
{
    if (label.n < 2 || label.n > NR_LABEL_MAX ||
        (uint8_t)(label.p[0] - 'a') >= 26 || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 1; i < label.n; i++)
        if (!is_lower_alnum(label.p[i]) && label.p[i] != '-')
            return false;
    return true;
}

bool
nr_domain_is_sound(struct nr_bytes d)
{
    size_t label = 0;

    if (d.n == 0 || d.n > NR_DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < d.n; i++) {
        uint8_t c = d.p[i];

        if (c == '.') {
            if (i == label || i - label > NR_LABEL_MAX)
                return false;
            label = i + 1;
        } else if (!is_lower_alnum(c) && c != '-' && c != '_') {
            return false;
        }
    }
    return label > 0 && nr_tld_is_sound(nr_bytes_sub(d, label, d.n));
}

struct nr_bytes
nr_domain_registered(struct nr_bytes d)
{
    struct nr_bytes none = { d.p, 0 };
    char name[NR_DOMAIN_MAX + 1];
    const char *at;

    if (d.n == 0 || d.n > NR_DOMAIN_MAX)
        return none;
    memcpy(name, d.p, d.n);
    name[d.n] = '\0';
    at = psl_registrable_domain(psl_builtin(), name);
    return at ? nr_bytes_sub(d, (size_t)(at - name), d.n) : none;
}

bool
nr_domain_has_known_tld(struct nr_bytes d)
{
    const uint8_t *dot = d.n ? memrchr(d.p, '.', d.n) : NULL;
    size_t skip = dot ? (size_t)(dot - d.p) + 1 : 0;
    char tld[NR_LABEL_MAX + 1];

    if (d.n - skip == 0 || d.n - skip > NR_LABEL_MAX)
        return false;
    memcpy(tld, d.p + skip, d.n - skip);
    tld[d.n - skip] = '\0';
    /* Without the implicit rule "*", which makes every word a suffix. */
    return psl_is_public_suffix2(psl_builtin(), tld,
               PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) == 1;
}
