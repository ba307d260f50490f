/* TLS: who is believed, and what a verified connection costs. */
#include "fetch_checks.h"
#include "web_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <time.h>

#define LOOPBACK "127.0.0.0/8"
#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"
#define DAY_S (24L * 60 * 60)

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

/* A self-signed certificate for one address or name, as "IP:127.0.0.1" or "DNS:a.example". */
static struct identity
identity_create(const char *names, long from_s, long until_s)
{
    struct identity identity = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    X509_NAME *name = X509_get_subject_name(identity.certificate);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

    cr_assert(identity.key != NULL && identity.certificate != NULL && extension != NULL);
    X509_set_version(identity.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(identity.certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(identity.certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(identity.certificate), until_s);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(identity.certificate, name);
    X509_set_pubkey(identity.certificate, identity.key);
    X509_add_ext(identity.certificate, extension, -1);
    cr_assert_gt(X509_sign(identity.certificate, identity.key, EVP_sha256()), 0);
    X509_EXTENSION_free(extension);
    return identity;
}

static void
identity_release(struct identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

struct tls_server {
    struct web_server web;
    SSL_CTX *context;
    pthread_t thread;
};

/* One request a connection, so that each page needs a handshake. */
static void *
tls_server_run(void *context)
{
    struct tls_server *server = context;
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                                 "Connection: close\r\n\r\nhello";
    int fd;

    while ((fd = accept(server->web.fd, NULL, NULL)) >= 0) {
        SSL *ssl = SSL_new(server->context);
        char request[4096];
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1 && SSL_read(ssl, request, sizeof request) > 0) {
            SSL_write(ssl, answer, (int)sizeof answer - 1);
            SSL_shutdown(ssl);
        }
        SSL_free(ssl);
        close(fd);
    }
    return NULL;
}

static void
tls_server_start(struct tls_server *server, const struct identity *identity, int version_max)
{
    memset(server, 0, sizeof *server);
    signal(SIGPIPE, SIG_IGN);
    server->context = SSL_CTX_new(TLS_server_method());
    cr_assert_eq(SSL_CTX_use_certificate(server->context, identity->certificate), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey(server->context, identity->key), 1);
    if (version_max != 0) {
        SSL_CTX_set_min_proto_version(server->context, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(server->context, version_max);
        SSL_CTX_set_security_level(server->context, 0);
        cr_assert_eq(SSL_CTX_set_cipher_list(server->context, "ALL:@SECLEVEL=0"), 1);
    }
    web_server_listen(&server->web, "127.0.0.1");
    cr_assert_eq(pthread_create(&server->thread, NULL, tls_server_run, server), 0);
}

static void
tls_server_stop(struct tls_server *server)
{
    shutdown(server->web.fd, SHUT_RDWR); /* accept() ends with an error */
    pthread_join(server->thread, NULL);
    close(server->web.fd);
    SSL_CTX_free(server->context);
}

/* A file with the certificate, behind a copy of what `before` holds. */
static void
write_bundle(const char *path, const struct identity *identity, const char *before)
{
    FILE *file = fopen(path, "wb");

    cr_assert_not_null(file);
    if (before != NULL) {
        FILE *old = fopen(before, "rb");
        char piece[4096];
        size_t size;
        cr_assert_not_null(old);
        while ((size = fread(piece, 1, sizeof piece, old)) > 0) {
            fwrite(piece, 1, size, file);
        }
        fclose(old);
    }
    cr_assert_eq(PEM_write_X509(file, identity->certificate), 1);
    fclose(file);
}

static char bundle[64];

static void
bundle_name(void)
{
    snprintf(bundle, sizeof bundle, "/tmp/thresh-ca-XXXXXX");
    close(mkstemp(bundle));
}

static enum outcome
outcome_of(const struct identity *identity, int version_max, const char *ca_file,
           const char *insecure, char *ret_reason, size_t reason_bytes)
{
    struct fetch_options options = engine_options();
    struct tls_server server;
    struct engine engine;
    struct page page;
    char url[128];

    options.ca_file = ca_file;
    options.insecure_tls_hosts = insecure;
    tls_server_start(&server, identity, version_max);
    engine_start(&engine, &options, LOOPBACK);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", server.web.port);
    page_fetch(&engine, &page, url);
    snprintf(ret_reason, reason_bytes, "%s", page.reason);
    page_release(&page);
    engine_stop(&engine);
    tls_server_stop(&server);
    return page.outcome;
}

Test(fetch_tls, who_is_believed)
{
    struct identity good = identity_create("IP:127.0.0.1", -DAY_S, DAY_S);
    struct identity other = identity_create("DNS:other.example", -DAY_S, DAY_S);
    struct identity old = identity_create("IP:127.0.0.1", -2 * DAY_S, -DAY_S);
    const struct {
        const char *name;
        const struct identity *identity;
        int version_max;
        bool is_trusted;
        const char *insecure;
        enum outcome outcome;
    } rows[] = {
        {"self-signed", &good, 0, false, "", OUTCOME_TLS_FAILED},
        {"trusted by ca-file", &good, 0, true, "", OUTCOME_OK},
        {"TLS 1.2", &good, TLS1_2_VERSION, true, "", OUTCOME_OK},
        {"TLS 1.1", &good, TLS1_1_VERSION, true, "", OUTCOME_TLS_FAILED},
        {"TLS 1.0", &good, TLS1_VERSION, true, "", OUTCOME_TLS_FAILED},
        {"for another host", &other, 0, true, "", OUTCOME_TLS_FAILED},
        {"expired", &old, 0, true, "", OUTCOME_TLS_FAILED},
        {"not checked by request", &old, 0, false, "a.example,127.0.0.1", OUTCOME_OK},
        {"not checked for another host", &old, 0, false, "127.0.0.10,27.0.0.1", OUTCOME_TLS_FAILED},
    };

    bundle_name();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char reason[512];
        write_bundle(bundle, rows[i].identity, NULL);
        enum outcome outcome =
            outcome_of(rows[i].identity, rows[i].version_max, rows[i].is_trusted ? bundle : "",
                       rows[i].insecure, reason, sizeof reason);
        cr_expect_eq(outcome, rows[i].outcome, "%s gives %s (%s)", rows[i].name,
                     outcome_name(outcome), reason);
    }
    identity_release(&good);
    identity_release(&other);
    identity_release(&old);
    unlink(bundle);
}

static double
cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

/* libcurl 7.88 parses the whole bundle for each connection when it has a CA path too: 22 ms each.
 * Parsed once it is under 1 ms; the limit between leaves room for slow machines and sanitizers. */
Test(fetch_tls, the_bundle_is_parsed_once)
{
    enum {
        CONNECTIONS = 30
    };
    struct identity good = identity_create("IP:127.0.0.1", -DAY_S, DAY_S);
    struct fetch_options options = engine_options();
    struct tls_server server;
    struct engine engine;
    struct page page;
    char url[128];

    if (access(SYSTEM_BUNDLE, R_OK) != 0) {
        cr_skip_test("no bundle of certificates");
    }
    bundle_name();
    write_bundle(bundle, &good, SYSTEM_BUNDLE);
    options.ca_file = bundle;
    tls_server_start(&server, &good, 0);
    engine_start(&engine, &options, LOOPBACK);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", server.web.port);
    page_fetch(&engine, &page, url); /* this one parses it */
    page_release(&page);
    double begin_ms = cpu_ms();
    for (int i = 0; i < CONNECTIONS; i++) {
        page_fetch(&engine, &page, url);
        cr_assert_eq(page.outcome, OUTCOME_OK, "%s", page.reason);
        page_release(&page);
    }
    double each_ms = (cpu_ms() - begin_ms) / CONNECTIONS;
    cr_log_info("%.2f ms of CPU for each verified connection", each_ms);
    cr_expect_lt(each_ms, 8.0);
    engine_stop(&engine);
    tls_server_stop(&server);
    identity_release(&good);
    unlink(bundle);
}
