/* Inside of the stix room: what each property must look like. */
#ifndef NR_STIX_CHECK_H
#define NR_STIX_CHECK_H

#include "stix/stix.h"

enum stix_form {
    FORM_STRING,
    FORM_BOOL,
    FORM_INTEGER,
    FORM_COUNT,  /* integer >= 0 */
    FORM_NUMBER, /* any */
    FORM_TIME,
    FORM_ID,         /* of any type */
    FORM_ID_DOMAIN,  /* of a thing that relationships link */
    FORM_ID_SIGHTED, /* of a domain or custom object */
    FORM_ID_MARKING,
    FORM_IDS,          /* list of ids */
    FORM_IDS_OBSERVED, /* of observables and relationships */
    FORM_IDS_DATA,     /* of observed-data */
    FORM_IDS_PLACE,    /* of identity or location */
    FORM_IDS_MARKING,
    FORM_STRINGS,
    FORM_LIST,
    FORM_DICT,
    FORM_HASHES,
    FORM_URI,
    FORM_BASE64,
    FORM_HEX,
    FORM_IPV4,
    FORM_IPV6,
    FORM_MAC,
    FORM_LANG,
    FORM_CPE,
    FORM_VERB, /* [a-z0-9-]+ */
    FORM_CIPHER,
    FORM_OPINION,
    FORM_CONFIDENCE,
};

struct stix_property {
    const char *type; /* of the object; "*": any */
    const char *name;
    enum stix_form form;
    bool required;
};

/* The table, ending with a type of NULL. */
extern const struct stix_property stix_properties[];

enum nr_err stix_check_form(const struct nr_json *j, enum stix_form form,
    struct nr_diag *d) NR_MUST_USE;

/* Section 6: observables of the standard. */
bool stix_is_observable(struct nr_str type);

enum nr_err stix_bad(struct nr_diag *d, const struct nr_json *at,
    const char *name, const char *what) NR_COLD;

#endif
