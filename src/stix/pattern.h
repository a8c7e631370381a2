/* Inside of the stix room: the tokens of a pattern. */
#ifndef NR_STIX_PATTERN_H
#define NR_STIX_PATTERN_H

#include "stix/stix.h"

enum stix_token {
    TOKEN_END,
    TOKEN_NAME,   /* identifier without hyphen */
    TOKEN_HYPHEN, /* identifier with hyphens: object types only */
    TOKEN_STRING,
    TOKEN_INT,
    TOKEN_FLOAT,
    TOKEN_BINARY,
    TOKEN_HEX,
    TOKEN_TIME,
    TOKEN_EQ,
    TOKEN_NEQ,
    TOKEN_GT,
    TOKEN_LT,
    TOKEN_GE,
    TOKEN_LE,
    TOKEN_PUNCT, /* one of ( ) [ ] , : . *: its octet is text.p[0] */
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_NOT,
    TOKEN_FOLLOWEDBY,
    TOKEN_LIKE,
    TOKEN_MATCHES,
    TOKEN_ISSUPERSET,
    TOKEN_ISSUBSET,
    TOKEN_EXISTS,
    TOKEN_LAST,
    TOKEN_IN,
    TOKEN_START,
    TOKEN_STOP,
    TOKEN_SECONDS,
    TOKEN_TRUE,
    TOKEN_FALSE,
    TOKEN_WITHIN,
    TOKEN_REPEATS,
    TOKEN_TIMES,
};

struct stix_lexer {
    struct nr_str in;
    size_t pos;
    enum stix_token type;
    size_t at;          /* of the token */
    struct nr_str text; /* its octets, inside the quotes of a literal */
    bool escapes;       /* a string with backslashes in it */
    const char *wrong;  /* what is wrong at AT; NULL: nothing */
    enum nr_err err;    /* NR_EFORMAT or NR_ETRUNC with WRONG */
};

/* The next token into LEXER; after a fault TOKEN_END. */
void stix_lexer_next(struct stix_lexer *l);

static inline bool
stix_is_punct(const struct stix_lexer *l, char c)
{
    return l->type == TOKEN_PUNCT && l->text.p[0] == c;
}

#endif
