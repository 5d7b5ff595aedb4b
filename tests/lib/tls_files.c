/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/tls_files.h"

#include <dirent.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DAY = 86400 };

static void must(int code, const char *what)
{
    if (code >= 0)
        return;
    fprintf(stderr, "tls_files: %s: %s\n", what, gnutls_strerror(code));
    abort();
}

static void write_file(const char *path, const gnutls_datum_t *content)
{
    FILE *file = fopen(path, "w");

    if (!file || fwrite(content->data, 1, content->size, file) != content->size ||
        fclose(file) != 0)
        abort();
    gnutls_free(content->data);
}

static gnutls_x509_privkey_t make_key(void)
{
    gnutls_x509_privkey_t key;

    must(gnutls_x509_privkey_init(&key), "key");
    must(gnutls_x509_privkey_generate(
             key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
         "key");
    return key;
}

static void path_of(const struct tls_files *files, const char *stem, const char *end,
                    char path[TLS_FILE_PATH_BYTES])
{
    snprintf(path, TLS_FILE_PATH_BYTES, "%s/%s%s", files->folder, stem, end);
}

static gnutls_x509_crt_t begin(gnutls_x509_privkey_t key, const char *subject,
                               time_t from, time_t until)
{
    static unsigned char serial;
    gnutls_x509_crt_t crt;
    time_t now = time(NULL);
    const char *error;

    serial++;
    must(gnutls_x509_crt_init(&crt), "certificate");
    must(gnutls_x509_crt_set_version(crt, 3), "version");
    must(gnutls_x509_crt_set_serial(crt, &serial, 1), "serial");
    must(gnutls_x509_crt_set_activation_time(crt, now + from), "time");
    must(gnutls_x509_crt_set_expiration_time(crt, now + until), "time");
    if (*subject)
        must(gnutls_x509_crt_set_dn(crt, subject, &error), "subject");
    must(gnutls_x509_crt_set_key(crt, key), "key");
    return crt;
}

static void make_authority(const struct tls_files *files, struct tls_authority *made,
                           const char *stem)
{
    gnutls_x509_privkey_t key = make_key();
    gnutls_datum_t pem;
    char subject[64];
    gnutls_x509_crt_t crt;

    snprintf(subject, sizeof(subject), "CN=%s", stem);
    crt = begin(key, subject, -DAY, 30 * DAY);
    must(gnutls_x509_crt_set_ca_status(crt, 1), "ca");
    must(gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN), "usage");
    must(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), "sign");
    must(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), "export");
    path_of(files, stem, ".pem", made->path);
    write_file(made->path, &pem);
    made->certificate = crt;
    made->key = key;
}

static void set_large(gnutls_x509_crt_t crt, unsigned bytes)
{
    char *filler = malloc(bytes);

    if (!filler)
        abort();
    memset(filler, 'x', bytes);
    must(gnutls_x509_crt_set_extension_by_oid(crt, "1.3.6.1.4.1.99999.1", filler, bytes,
                                              0),
         "extension");
    free(filler);
}

void tls_files_issue(const struct tls_files *files, const struct tls_authority *by,
                     const char *stem, const struct tls_wish *wish,
                     char cert[TLS_FILE_PATH_BYTES], char key_path[TLS_FILE_PATH_BYTES])
{
    static const unsigned char loopback[4] = {127, 0, 0, 1};
    gnutls_x509_privkey_t key = make_key();
    gnutls_x509_crt_t crt = begin(key, wish->subject, wish->from ? wish->from : -DAY,
                                  wish->until ? wish->until : DAY);
    gnutls_datum_t pem;

    if (wish->name) {
        must(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, wish->name,
                                                  (unsigned)strlen(wish->name),
                                                  GNUTLS_FSAN_SET),
             "name");
        must(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, loopback,
                                                  sizeof(loopback), GNUTLS_FSAN_APPEND),
             "address");
    }
    must(gnutls_x509_crt_set_key_purpose_oid(
             crt, wish->client ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER, 0),
         "purpose");
    if (wish->large)
        set_large(crt, wish->large);
    must(gnutls_x509_crt_sign2(crt, by->certificate, by->key, GNUTLS_DIG_SHA256, 0),
         "sign");
    must(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), "export");
    path_of(files, stem, ".pem", cert);
    write_file(cert, &pem);
    must(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), "export");
    path_of(files, stem, ".key", key_path);
    write_file(key_path, &pem);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

void tls_files_create(struct tls_files *files)
{
    const struct tls_wish server = {.subject = "CN=tritd", .name = "localhost"};
    const struct tls_wish client = {.subject = "CN=rank 7,O=Trainers", .client = 1};

    memset(files, 0, sizeof(*files));
    strcpy(files->folder, "/tmp/trit_tls_XXXXXX");
    if (!mkdtemp(files->folder))
        abort();
    make_authority(files, &files->authority, "authority");
    make_authority(files, &files->stranger, "stranger");
    tls_files_issue(files, &files->authority, "server", &server, files->cert, files->key);
    tls_files_issue(files, &files->authority, "client", &client, files->client_cert,
                    files->client_key);
}

static void authority_destroy(struct tls_authority *authority)
{
    gnutls_x509_crt_deinit(authority->certificate);
    gnutls_x509_privkey_deinit(authority->key);
}

void tls_files_destroy(struct tls_files *files)
{
    DIR *folder = opendir(files->folder);
    struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    rmdir(files->folder);
    authority_destroy(&files->authority);
    authority_destroy(&files->stranger);
}
