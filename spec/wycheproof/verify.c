/* verify.c - checks signatures as leat.jwt does, for the vectors of Project Wycheproof.
 *
 *   wycheproof_verify FILE
 *
 * A line of the file is ALG FORM KEY TEXT SIGNATURE, with tabs between them; FORM is jwk, pem or
 * secret, and what follows it is in hexadecimal. For each line it prints "valid", "invalid", or
 * "key" if there is no such key for that algorithm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "wire/jwk.h"

enum { FIELDS = 5 };

typedef struct key_form {
    const char *name;
    int (*read)(leat_jwk **out, leat_slice text, const char **reason);
} key_form;

static int read_pem(leat_jwk **out, leat_slice text, const char **reason)
{
    leat_slice rest = {0};
    return leat_jwk_read_pem(out, text, &rest, reason);
}

/* The key of the last line: checking one of 8,192 bits takes long, and most lines repeat it. */
typedef struct last_key {
    char *hex;
    leat_jwk *key;
} last_key;

static const key_form forms[] = {
    {"jwk", leat_jwk_read}, {"pem", read_pem}, {"secret", leat_jwk_read_secret}};

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = strchr(digits, c);
    LEAT_ASSERT(c != '\0' && at != NULL);
    return (int)(at - digits);
}

static void decode_hex(leat_buf *out, const char *hex)
{
    out->len = 0;
    for (; *hex != '\0'; hex += 2) {
        char byte = (char)(digit(hex[0]) << 4 | digit(hex[1]));
        leat_buf_append(out, &byte, 1);
    }
}

/* The key is NULL if it is refused. */
static leat_jwk *read_key(const char *form, const char *hex)
{
    leat_buf text = LEAT_BUF_INIT;
    leat_jwk *key = NULL;
    const char *reason = NULL;
    decode_hex(&text, hex);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (strcmp(form, forms[i].name) == 0 &&
            forms[i].read(&key, leat_buf_view(&text), &reason) < 0)
            key = NULL;
    leat_buf_close(&text);
    return key;
}

static void forget_key(last_key *last)
{
    leat_jwk_free(last->key);
    free(last->hex);
}

static const leat_jwk *find_key(last_key *last, const char *form, const char *hex)
{
    if (last->hex == NULL || strcmp(last->hex, hex) != 0) {
        forget_key(last);
        last->hex = leat_strdup(hex);
        last->key = read_key(form, hex);
    }
    return last->key;
}

static const char *verify(last_key *last, char *fields[FIELDS])
{
    leat_jwt_alg alg = LEAT_JWT_ALGS;
    bool known = leat_jwt_alg_of(leat_slice_of(fields[0]), &alg);
    LEAT_ASSERT(known);
    const leat_jwk *key = find_key(last, fields[1], fields[2]);
    const char *answer = "key";
    if (key != NULL && leat_jwk_fits(key, alg)) {
        leat_buf text = LEAT_BUF_INIT, signature = LEAT_BUF_INIT;
        decode_hex(&text, fields[3]);
        decode_hex(&signature, fields[4]);
        bool valid = leat_jwk_verify(key, alg, leat_buf_view(&text), leat_buf_view(&signature));
        answer = valid ? "valid" : "invalid";
        leat_buf_close(&text);
        leat_buf_close(&signature);
    }
    return answer;
}

static void split(char *line, char *fields[FIELDS])
{
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < FIELDS; i++)
        fields[i] = strsep(&line, "\t");
    LEAT_ASSERT(line == NULL && fields[FIELDS - 1] != NULL);
}

int main(int argc, char **argv)
{
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
    char *line = NULL;
    size_t size = 0;
    last_key last = {0};
    if (in == NULL)
        return 2;
    while (getline(&line, &size, in) >= 0) {
        char *fields[FIELDS];
        split(line, fields);
        puts(verify(&last, fields));
    }
    forget_key(&last);
    free(line);
    fclose(in);
    return 0;
}
