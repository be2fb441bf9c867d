/*
 * story.h: what every story in this folder leans on.
 *
 * One program is one story, and its file name says which. A story is one file,
 * or a folder with a main.c and further .c files that are compiled into one program.
 * It includes this header first, begins with story_begin(), ends with
 * `return story_end();`, and fails by exiting with 1 after one line that says
 * what was expected and what was seen.
 *
 * The gateway (tests/gateway) does what the request header `x-gateway` says and
 * logs what it received: a story steers with story_request("say=Hi;deltas=2", ...)
 * and asks with story_sent(0, "messages/0/role") what went over the wire.
 */
#ifndef APERTIS_STORY_H
#define APERTIS_STORY_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <apertis.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STORY_KEY "sk-test"

/* ---- Checking --------------------------------------------------------------- */

static inline void story_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(1);
}

static inline void story_check_status(const char *file, int line, const char *expression, int32_t seen, int32_t expected) {
    if (seen != expected)
        story_fail(file, line, "%s: expected %s, saw %s (%ld)", expression, apertis_status_name(expected), apertis_status_name(seen), (long)seen);
}

static inline void story_check_ok(const char *file, int line, const char *expression, int32_t seen, const apertis_error *error) {
    const char *message = apertis_error_message(error);
    if (seen != APERTIS_OK)
        story_fail(file, line, "%s: %s (%ld): %s", expression, apertis_status_name(seen), (long)seen, message ? message : "(no message)");
}

static inline void story_check_int(const char *file, int line, const char *expression, long long seen, long long expected) {
    if (seen != expected) story_fail(file, line, "%s: expected %lld, saw %lld", expression, expected, seen);
}

static inline void story_check_text(const char *file, int line, const char *expression, const char *seen, const char *expected) {
    size_t at = 0;
    if (seen == expected || (seen && expected && strcmp(seen, expected) == 0)) return;
    while (seen && expected && seen[at] == expected[at]) at++;
    at = at > 30 ? at - 30 : 0;
    story_fail(file, line, "%s: expected %.200s%s, saw %.200s%s (from byte %lu)", expression, expected ? expected + at : "NULL",
               expected && strlen(expected + at) > 200 ? "..." : "", seen ? seen + at : "NULL",
               seen && strlen(seen + at) > 200 ? "..." : "", (unsigned long)at);
}

static inline void story_check_contains(const char *file, int line, const char *expression, const char *text, const char *part) {
    if (!text || !strstr(text, part)) story_fail(file, line, "%s: expected it to contain %s, saw %.600s", expression, part, text ? text : "NULL");
}

#define CHECK(condition) ((condition) ? (void)0 : story_fail(__FILE__, __LINE__, "not so: %s", #condition))
#define CHECK_STATUS(seen, expected) story_check_status(__FILE__, __LINE__, #seen, (int32_t)(seen), (int32_t)(expected))
/* The error is looked at after the call was made. */
#define CHECK_OK(call, error) do { int32_t story_status = (int32_t)(call); story_check_ok(__FILE__, __LINE__, #call, story_status, error); } while (0)
#define CHECK_INT(seen, expected) story_check_int(__FILE__, __LINE__, #seen, (long long)(seen), (long long)(expected))
#define CHECK_TEXT(seen, expected) story_check_text(__FILE__, __LINE__, #seen, seen, expected)
#define CHECK_CONTAINS(text, part) story_check_contains(__FILE__, __LINE__, #text, text, part)

/* ---- Begin, end, and memory that lives until the end ------------------------- */

static char story_name[96];
static int story_key_number;
static pthread_mutex_t story_kept_lock = PTHREAD_MUTEX_INITIALIZER;
static void **story_kept;
static size_t story_kept_count;

static inline void story_alarm(int signal_number) {
    static const char words[] = ": hangs; the watchdog ends it\n";
    (void)signal_number;
    if (write(2, story_name, strlen(story_name)) < 0 || write(2, words, sizeof words - 1) < 0) _exit(1);
    _exit(1);
}

/* Names the story after its file (or folder) and starts the watchdog of 60 s (STORY_SECONDS: another time). */
#define story_begin() story_begin_as(__FILE__)
static inline void story_begin_as(const char *file) {
    const char *seconds = getenv("STORY_SECONDS");
    const char *end = strstr(file, "/main.c");
    const char *from;
    if (!end) end = strstr(file, ".c");
    if (!end) end = file + strlen(file);
    for (from = end; from > file && from[-1] != '/'; from--) continue;
    snprintf(story_name, sizeof story_name, "%.*s", (int)(end - from), from);
    signal(SIGALRM, story_alarm);
    signal(SIGPIPE, SIG_IGN);
    alarm(seconds ? (unsigned)atoi(seconds) : 60);
}

static inline void *story_keep(void *memory) {
    CHECK(memory != NULL);
    pthread_mutex_lock(&story_kept_lock);
    story_kept = (void **)realloc(story_kept, (story_kept_count + 1) * sizeof *story_kept);
    CHECK(story_kept != NULL);
    story_kept[story_kept_count++] = memory;
    pthread_mutex_unlock(&story_kept_lock);
    return memory;
}

/* printf into a string that lives until the end. */
static inline char *story_format(const char *format, ...) {
    va_list arguments;
    char *text;
    int length;
    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    CHECK(length >= 0);
    text = (char *)story_keep(malloc((size_t)length + 1));
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

static inline int story_end(void) {
    size_t index;
    for (index = 0; index < story_kept_count; index++) free(story_kept[index]);
    free(story_kept);
    alarm(0);
    printf("ok %s\n", story_name);
    return 0;
}

/* ---- Clock, threads, files, memory ------------------------------------------- */

static inline int64_t story_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void story_sleep_ms(int64_t ms) {
    struct timespec time;
    time.tv_sec = (time_t)(ms / 1000);
    time.tv_nsec = (long)(ms % 1000) * 1000000;
    while (nanosleep(&time, &time) != 0 && errno == EINTR) continue;
}

static inline int story_entries(const char *folder) {
    DIR *opened = opendir(folder);
    struct dirent *entry;
    int count = 0;
    CHECK(opened != NULL);
    while ((entry = readdir(opened)) != NULL) count += entry->d_name[0] != '.';
    closedir(opened);
    return count;
}

static inline int story_thread_count(void) { return story_entries("/proc/self/task"); }
static inline int story_fd_count(void) { return story_entries("/proc/self/fd") - 1; /* its own */ }

/* Resident memory in KiB. */
static inline long story_rss_kib(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long total = 0, resident = 0;
    CHECK(file != NULL);
    CHECK(fscanf(file, "%ld %ld", &total, &resident) == 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The kernel may take a moment to take a joined thread or a closed socket off its lists. */
#define CHECK_SOON(condition) \
    do { \
        int64_t story_until = story_ms() + 5000; \
        while (!(condition) && story_ms() < story_until) { story_sleep_ms(5); } \
        CHECK(condition); \
    } while (0)

static inline int story_is_utf8(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    while (at < end) {
        unsigned char first = *at++;
        int more = first < 0x80 ? 0 : first >= 0xC2 && first <= 0xDF ? 1 : (first & 0xF0) == 0xE0 ? 2 : first >= 0xF0 && first <= 0xF4 ? 3 : -1;
        if (more < 0 || end - at < more) return 0;
        if (more > 1 && ((first == 0xE0 && at[0] < 0xA0) || (first == 0xED && at[0] > 0x9F) || (first == 0xF0 && at[0] < 0x90) || (first == 0xF4 && at[0] > 0x8F))) return 0;
        while (more-- > 0) if ((*at++ & 0xC0) != 0x80) return 0;
    }
    return 1;
}

/* TEXT `count` times, one behind the other. */
static inline char *story_repeat(const char *text, size_t count) {
    size_t length = strlen(text), index;
    char *all = (char *)story_keep(malloc(length * count + 1));
    for (index = 0; index < count; index++) memcpy(all + index * length, text, length);
    all[length * count] = '\0';
    return all;
}

/* Percent-encoded, for a value of x-gateway. */
static inline char *story_encode(const char *text) {
    static const char digits[] = "0123456789ABCDEF";
    char *encoded = (char *)story_keep(malloc(strlen(text) * 3 + 1)), *to = encoded;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte > 0x20 && byte < 0x7F && !strchr(";=%\"\\,+", byte)) { *to++ = (char)byte; continue; }
        *to++ = '%';
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
    *to = '\0';
    return encoded;
}

/* ---- JSON, just enough to look into it ---------------------------------------- */

static inline const char *story_json_blank(const char *at) {
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') at++;
    return at;
}

/* Behind the value that begins at `at`. */
static inline const char *story_json_behind(const char *at) {
    int depth = 0;
    for (; *at; at++) {
        if (*at == '"') {
            for (at++; *at && *at != '"'; at++) if (*at == '\\' && at[1]) at++;
            if (!*at) return at;
            if (depth == 0) return at + 1;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0) return at;
            if (--depth == 0) return at + 1;
        } else if (depth == 0 && (*at == ',' || *at == ' ' || *at == '\n')) {
            return at;
        }
    }
    return at;
}

static inline unsigned story_json_hex(const char *at) {
    char digits[5] = { 0 };
    strncpy(digits, at, 4);
    return (unsigned)strtoul(digits, NULL, 16);
}

/* The value from `at` to `end` as a string: a JSON string without quotes and escapes, all else as it stands. */
static inline char *story_json_value(const char *at, const char *end) {
    char *value = (char *)story_keep(malloc((size_t)(end - at) + 1)), *to = value;
    if (*at != '"') {
        memcpy(value, at, (size_t)(end - at));
        value[end - at] = '\0';
        return value;
    }
    for (at++; at < end - 1; at++) {
        unsigned code;
        if (*at != '\\') { *to++ = *at; continue; }
        at++;
        if (*at != 'u') { *to++ = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at == 'r' ? '\r' : *at == 'b' ? '\b' : *at == 'f' ? '\f' : *at; continue; }
        code = story_json_hex(at + 1);
        at += 4;
        if (code >= 0xD800 && code < 0xDC00 && at[1] == '\\' && at[2] == 'u') {
            code = 0x10000 + ((code - 0xD800) << 10) + (story_json_hex(at + 3) - 0xDC00);
            at += 6;
        }
        if (code < 0x80) { *to++ = (char)code; continue; }
        if (code < 0x800) *to++ = (char)(0xC0 | code >> 6);
        else if (code < 0x10000) *to++ = (char)(0xE0 | code >> 12);
        else { *to++ = (char)(0xF0 | code >> 18); *to++ = (char)(0x80 | (code >> 12 & 63)); }
        if (code >= 0x800) *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    }
    *to = '\0';
    return value;
}

/* The value at a path like "messages/0/content": strings unescaped, everything else as its JSON text;
   NULL: it is not there. "" is the whole. */
static inline char *story_json(const char *json, const char *path) {
    const char *at = json ? story_json_blank(json) : NULL;
    while (at && *path) {
        size_t step = strcspn(path, "/"), seen = 0;
        int list = *at == '[', found = 0;
        if (*at != '{' && !list) return NULL;
        at = story_json_blank(at + 1);
        while (*at && *at != '}' && *at != ']') {
            if (list) {
                found = seen++ == (size_t)strtoul(path, NULL, 10);
            } else {
                const char *end = story_json_behind(at);
                char *name = story_json_value(at, end);
                found = strlen(name) == step && strncmp(name, path, step) == 0;
                at = story_json_blank(end);
                CHECK(*at == ':');
                at = story_json_blank(at + 1);
            }
            if (found) break;
            at = story_json_blank(story_json_behind(at));
            if (*at == ',') at = story_json_blank(at + 1);
        }
        if (!found) return NULL;
        path += step;
        if (*path == '/') path++;
    }
    return at ? story_json_value(at, story_json_behind(at)) : NULL;
}

static inline size_t story_json_count(const char *json) {
    const char *at = json ? story_json_blank(json) : "";
    size_t count = 0;
    if (*at != '[') return 0;
    at = story_json_blank(at + 1);
    while (*at && *at != ']') {
        count++;
        at = story_json_blank(story_json_behind(at));
        if (*at == ',') at = story_json_blank(at + 1);
    }
    return count;
}

static inline size_t story_occurrences(const char *text, const char *part) {
    size_t count = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part)) count++;
    return count;
}

/* ---- The gateway --------------------------------------------------------------- */

/* "http://127.0.0.1:PORT/v1" */
static inline const char *story_base(void) {
    const char *base = getenv("APERTIS_TEST_BASE");
    if (!base || strncmp(base, "http://127.0.0.1:", 17) != 0)
        story_fail(story_name, 0, "APERTIS_TEST_BASE must be http://127.0.0.1:PORT/v1 of a running gateway (see README.md), and is %s", base ? base : "not set");
    return base;
}

static inline int story_port(void) { return atoi(story_base() + 17); }

/* The body of a GET with a plain socket, not with the library. */
static inline char *story_http_get(const char *path) {
    struct sockaddr_in address;
    char *answer = NULL, *body;
    size_t length = 0, room = 0;
    ssize_t got;
    char *request = story_format("GET %s HTTP/1.0\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n", path);
    int handle = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(handle >= 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)story_port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(handle, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(write(handle, request, strlen(request)) == (ssize_t)strlen(request));
    do {
        if (room - length < 65536) answer = (char *)realloc(answer, room = room * 2 + 131072);
        CHECK(answer != NULL);
        got = read(handle, answer + length, room - length - 1);
        if (got > 0) length += (size_t)got;
    } while (got > 0 || (got < 0 && errno == EINTR));
    close(handle);
    answer[length] = '\0';
    story_keep(answer);
    body = strstr(answer, "\r\n\r\n");
    CHECK(body != NULL);
    *body = '\0';
    CHECK(strstr(answer, "chunked") == NULL);
    return body + 4;
}

/* The gateway's counter of this run's requests; story_next_key() begins a fresh one. */
static inline const char *story_key(void) { return story_format("%s-%ld-%d", story_name, (long)getpid(), story_key_number); }
static inline void story_next_key(void) { story_key_number++; }

/* The script with this run's key; a script that names a key keeps it. */
static inline const char *story_script(const char *script) {
    if (strstr(script, "key=") == script || strstr(script, ";key=")) return script;
    return story_format("%s%skey=%s", script, *script ? ";" : "", story_key());
}

/* What the gateway received with this run's key, as a JSON array. */
static inline char *story_log(void) { return story_http_get(story_format("/_log?key=%s", story_key())); }
static inline size_t story_sent_count(void) { return story_json_count(story_log()); }

/* The body of the n-th request, byte for byte. */
static inline char *story_sent_body(size_t index) { return story_json(story_log(), story_format("%lu/raw", (unsigned long)index)); }
/* What stood at this path of it; NULL: nothing. */
static inline char *story_sent(size_t index, const char *path) { return story_json(story_sent_body(index), path); }
/* "method", "path", "connection", "headers/authorization" */
static inline char *story_sent_about(size_t index, const char *path) { return story_json(story_log(), story_format("%lu/%s", (unsigned long)index, path)); }

/* A number of /_stats: accepted, open, in_flight, max_in_flight, requests, cancelled. */
static inline long story_stat(const char *name) {
    char *value = story_json(story_http_get("/_stats"), name);
    CHECK(value != NULL);
    return strtol(value, NULL, 10);
}

/* ---- The library, set up for a story --------------------------------------------- */

static inline apertis_config *story_config(void) {
    apertis_config *config = apertis_config_new();
    CHECK(config != NULL);
    CHECK_STATUS(apertis_config_set_api_base(config, story_base()), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_api_key(config, STORY_KEY), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_max_retries(config, 0), APERTIS_OK);
    return config;
}

/* Takes the config. */
static inline apertis_client *story_client_of(apertis_config *config) {
    apertis_client *client = NULL;
    apertis_error *error = NULL;
    CHECK_OK(apertis_client_new(config, &client, &error), error);
    CHECK(client != NULL && error == NULL);
    apertis_config_free(config);
    return client;
}

static inline apertis_client *story_client(void) { return story_client_of(story_config()); }

/* For calls without a request: the script goes with every request of this client. */
static inline apertis_client *story_client_with(const char *script) {
    apertis_config *config = story_config();
    CHECK_STATUS(apertis_config_set_header(config, "x-gateway", story_script(script)), APERTIS_OK);
    return story_client_of(config);
}

static inline apertis_client *story_retrying_client(int32_t retries) {
    apertis_config *config = story_config();
    CHECK_STATUS(apertis_config_set_max_retries(config, retries), APERTIS_OK);
    return story_client_of(config);
}

static inline apertis_request *story_request(const char *script, const char *prompt) {
    apertis_request *request = apertis_request_new();
    CHECK(request != NULL);
    CHECK_STATUS(apertis_request_set_header(request, "x-gateway", story_script(script)), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_message(request, APERTIS_ROLE_USER, prompt, APERTIS_NTS), APERTIS_OK);
    return request;
}

/* Asks and frees the request; the answer must come. */
#define story_chat(client, script) story_chat_at(__FILE__, __LINE__, client, script)
static inline apertis_response *story_chat_at(const char *file, int line, apertis_client *client, const char *script) {
    apertis_request *request = story_request(script, "Hello");
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    int32_t status = apertis_client_chat(client, request, &response, &error);
    story_check_ok(file, line, script, status, error);
    if (!response || error) story_fail(file, line, "success must come with a response and without an error");
    apertis_request_free(request);
    return response;
}

/* Asks and frees the request; it must fail, and without a part of an answer. */
#define story_chat_fails(client, script) story_chat_fails_at(__FILE__, __LINE__, client, script)
static inline apertis_error *story_chat_fails_at(const char *file, int line, apertis_client *client, const char *script) {
    apertis_request *request = story_request(script, "Hello");
    apertis_response *response = (apertis_response *)&response;
    apertis_error *error = NULL;
    int32_t status = apertis_client_chat(client, request, &response, &error);
    if (status >= 0 || response || !error) story_fail(file, line, "%s: must fail with an error and no response, and gave %s", script, apertis_status_name(status));
    story_check_status(file, line, "apertis_error_status against what was returned", apertis_error_status(error), status);
    apertis_request_free(request);
    return error;
}

/* Starts a private stream and frees the request. */
static inline apertis_stream *story_start(apertis_client *client, const char *script) {
    apertis_request *request = story_request(script, "Hello");
    apertis_stream *stream = NULL;
    apertis_error *error = NULL;
    CHECK_OK(apertis_client_start(client, request, &stream, &error), error);
    CHECK(stream != NULL && error == NULL);
    apertis_request_free(request);
    return stream;
}

static inline apertis_queue *story_queue(int32_t delivery) {
    apertis_queue *queue = NULL;
    apertis_error *error = NULL;
    CHECK_OK(apertis_queue_new(delivery, &queue, &error), error);
    CHECK(queue != NULL && error == NULL);
    return queue;
}

/* ---- A tally of what a stream delivered -------------------------------------------- */

/* Checks with each event what holds for every stream (nothing before STARTED but RETRY,
   nothing behind END, deltas that are UTF-8, END with a response), and counts. */
typedef struct story_tally {
    int kinds[16];                  /* how many came, by kind */
    char *text, *reasoning, *refusal, *arguments;
    int32_t status;                 /* of END: APERTIS_OK, or its error's */
    int32_t finish;
    char *part;                     /* END's text */
    int drops;
    pthread_t thread;               /* where the last event came */
    pthread_mutex_t lock;
    pthread_cond_t changed;
} story_tally;

static inline story_tally *story_tally_new(void) {
    story_tally *tally = (story_tally *)story_keep(calloc(1, sizeof *tally));
    tally->text = (char *)calloc(1, 1);
    tally->reasoning = (char *)calloc(1, 1);
    tally->refusal = (char *)calloc(1, 1);
    tally->arguments = (char *)calloc(1, 1);
    tally->status = 1;
    pthread_mutex_init(&tally->lock, NULL);
    pthread_cond_init(&tally->changed, NULL);
    return tally;
}

static inline void story_tally_free(story_tally *tally) {
    free(tally->text);
    free(tally->reasoning);
    free(tally->refusal);
    free(tally->arguments);
    free(tally->part);
    tally->text = tally->reasoning = tally->refusal = tally->arguments = tally->part = NULL;
}

static inline void story_append(char **text, const char *piece, size_t length) {
    size_t before = strlen(*text);
    *text = (char *)realloc(*text, before + length + 1);
    CHECK(*text != NULL);
    memcpy(*text + before, piece, length);
    (*text)[before + length] = '\0';
}

static inline void story_tally_add(story_tally *tally, const apertis_event *event) {
    int32_t kind = apertis_event_kind_of(event);
    size_t length = 12345;
    const char *piece = apertis_event_text(event, &length);
    char **into = kind == APERTIS_EVENT_TEXT ? &tally->text : kind == APERTIS_EVENT_REASONING ? &tally->reasoning
                : kind == APERTIS_EVENT_REFUSAL ? &tally->refusal : kind == APERTIS_EVENT_TOOL_ARGUMENTS ? &tally->arguments : NULL;
    pthread_mutex_lock(&tally->lock);
    CHECK(kind > APERTIS_EVENT_NONE && kind < 16);
    CHECK(tally->kinds[APERTIS_EVENT_END] == 0);                /* nothing behind END */
    if (kind == APERTIS_EVENT_STARTED) CHECK(tally->kinds[APERTIS_EVENT_STARTED] == 0);
    else if (kind != APERTIS_EVENT_RETRY && kind != APERTIS_EVENT_END) CHECK(tally->kinds[APERTIS_EVENT_STARTED] == 1);
    if (into) {
        CHECK(piece != NULL && piece[length] == '\0' && strlen(piece) == length);
        CHECK(length > 0 || kind == APERTIS_EVENT_TOOL_ARGUMENTS);
        CHECK(story_is_utf8(piece, length));
        story_append(into, piece, length);
    }
    if (kind == APERTIS_EVENT_RETRY) CHECK(apertis_event_error(event) != NULL);
    if (kind == APERTIS_EVENT_END) {
        const apertis_error *error = apertis_event_error(event);
        const apertis_response *response = apertis_event_response(event);
        const char *text = apertis_response_text(response, &length);
        CHECK(response != NULL && text != NULL && strlen(text) == length);
        tally->status = error ? apertis_error_status(error) : APERTIS_OK;
        tally->finish = apertis_response_finish(response);
        tally->part = (char *)malloc(length + 1);
        CHECK(tally->part != NULL);
        memcpy(tally->part, text, length + 1);
        CHECK(!error || tally->status < 0);
    }
    tally->kinds[kind]++;
    tally->thread = pthread_self();
    pthread_cond_broadcast(&tally->changed);
    pthread_mutex_unlock(&tally->lock);
}

/* As callbacks: the tally is the user data. */
static inline void story_on_event(void *tally, const apertis_event *event) { story_tally_add((story_tally *)tally, event); }
static inline void story_on_drop(void *user_data) {
    story_tally *tally = (story_tally *)user_data;
    pthread_mutex_lock(&tally->lock);
    tally->drops++;
    pthread_cond_broadcast(&tally->changed);
    pthread_mutex_unlock(&tally->lock);
}

/* Waits until so many events of this kind came (the watchdog ends it otherwise). */
static inline void story_await(story_tally *tally, int32_t kind, int count) {
    pthread_mutex_lock(&tally->lock);
    while (tally->kinds[kind] < count) pthread_cond_wait(&tally->changed, &tally->lock);
    pthread_mutex_unlock(&tally->lock);
}

static inline void story_await_drop(story_tally *tally) {
    pthread_mutex_lock(&tally->lock);
    while (tally->drops == 0) pthread_cond_wait(&tally->changed, &tally->lock);
    pthread_mutex_unlock(&tally->lock);
}

static inline int story_drops(story_tally *tally) {
    int drops;
    pthread_mutex_lock(&tally->lock);
    drops = tally->drops;
    pthread_mutex_unlock(&tally->lock);
    return drops;
}

/* Pulls a stream to its end and returns the status of its END. */
static inline int32_t story_pull(apertis_stream *stream, story_tally *tally) {
    const apertis_event *event = NULL;
    int32_t status;
    while ((status = apertis_stream_next(stream, 30000, &event)) == APERTIS_OK) story_tally_add(tally, event);
    CHECK_STATUS(status, APERTIS_DONE);
    CHECK(event == NULL);
    CHECK_INT(tally->kinds[APERTIS_EVENT_END], 1);
    return tally->status;
}

#endif
