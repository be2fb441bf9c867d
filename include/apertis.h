/*
 * libapertis: talk to language models from C.
 *
 * Written by cbindgen from src/ffi (`make header`): do not edit. MIT OR Apache-2.0.
 *
 * One library for three wire formats (OpenAI Chat Completions, OpenAI Responses, Anthropic Messages), of the Apertis
 * gateway or of any server that speaks one of them. A whole program, which needs APERTIS_API_KEY in its environment:
 *
 *     #include <apertis.h>
 *     #include <stdio.h>
 *     static void on_event(void *user_data, const apertis_event *event) {
 *         (void)user_data;
 *         if (apertis_event_kind_of(event) == APERTIS_EVENT_TEXT) { fputs(apertis_event_text(event, NULL), stdout); fflush(stdout); }
 *     }
 *     int main(void) {
 *         apertis_client *client; apertis_error *error;
 *         apertis_status status = apertis_client_new(NULL, &client, &error);
 *         if (status == APERTIS_OK) status = apertis_client_complete_stream(client, "Say hello.", APERTIS_NTS, on_event, NULL, NULL, &error);
 *         if (status != APERTIS_OK) fprintf(stderr, "%s\n", apertis_error_message(error));
 *         apertis_error_free(error); apertis_client_free(client); return status != APERTIS_OK; }
 *
 * OWNERSHIP. What a `_new`, `_start`, `_clone` or an out parameter hands you is yours until its `_free`. `_free` takes NULL,
 * never blocks, never fails, and may be called on any thread and inside any callback. Every other function that returns a
 * pointer lends it: until the handle it came from is changed or freed; an event's until the next pull by the same thread or
 * until the callback's return. Freeing what is only lent does nothing.
 *
 * HANDLES are tickets, not addresses: the library looks them up and never dereferences them. One that is NULL, freed, of
 * another kind, or garbage yields APERTIS_ERROR_INVALID_HANDLE (getters: NULL, 0 or -1), never a crash. Events alone are
 * addresses, since they live so shortly.
 *
 * TEXT is UTF-8. Names, URLs, ids and JSON come in as C strings. Content comes in as (data, length); the length APERTIS_NTS
 * says "it ends at its NUL". Text goes out NUL-terminated and, through `length` (may be NULL), explicitly sized, in bytes.
 * Every delta ends on a code-point boundary.
 *
 * ERRORS. 0 is success, above 0 an outcome that is no error, below 0 an error. Where the last parameter is an
 * apertis_error **, it may be NULL; otherwise it receives the details, which are yours to free, or NULL on success. Other out
 * parameters are written on success and set to NULL on failure. There is no "last error" anywhere.
 *
 * EVENTS. A stream tells: STARTED, then TEXT, REASONING and others, then END; RETRY where an attempt failed and another
 * follows. Exactly one END ends every stream that was started: on success, failure, cancellation and shutdown alike. You
 * choose how events reach you, and thereby on which thread your code runs:
 *
 *     one answer, this thread            apertis_client_chat_stream and a callback
 *     one stream, your own loop          apertis_client_start, apertis_stream_next
 *     many streams, your own loop        apertis_queue_new(PULL), apertis_client_start_on, apertis_queue_next
 *     many streams, once per frame       apertis_queue_new(PUMP), apertis_client_start_on, apertis_queue_pump
 *     many streams, a thread for you     apertis_queue_new(THREAD), apertis_client_start_on
 *     poll, epoll, kqueue, libuv         any queue of yours, apertis_queue_handle
 *
 * THREADS. A client, a queue and a stream may be used from any thread, by several at once. A config and a request have one
 * writer at a time. Callbacks run one after the other per queue, never on a thread of the network, never under a lock: from
 * them every function may be called, and those that would wait for themselves return APERTIS_ERROR_WOULD_DEADLOCK. The
 * library has at most two threads for any number of streams, beside one for each THREAD queue and one, for a moment, where a
 * name is looked up. The first starts with the first stream.
 *
 * LIMITS. Waiting events: 4 MiB per queue, then sockets are no longer read; nothing is dropped. One event of a provider:
 * 32 MiB. One answer: 512 MiB streamed, 128 MiB in one piece. What is more ends with APERTIS_ERROR_TOO_LARGE.
 *
 * PROCESS. No constructor, no atexit, no signal handler, nothing written to stdout or stderr. The environment is read in
 * apertis_client_new alone: APERTIS_API_KEY, APERTIS_API_BASE and the proxy variables. After a fork the child's old handles
 * give APERTIS_ERROR_FORKED, and it may make new ones. The shared library stays mapped after dlclose; call apertis_shutdown
 * before. Two copies of the static library in one program share nothing.
 */

#ifndef APERTIS_H
#define APERTIS_H

#include <stddef.h>
#include <stdint.h>

/* For a length: the text ends at its NUL. */
#define APERTIS_NTS SIZE_MAX

/**
 * The version of this header as 0xMMmmpp: compare with apertis_version_number() to see whether header and library
 * belong together.
 */
#define APERTIS_VERSION_NUMBER 256

/**
 * What a call came to: 0 success, above 0 an outcome that is no error, below 0 an error. Values never change; new ones
 * may come, so treat an unknown negative one as an error of an unknown kind.
 */
typedef enum apertis_status {
    APERTIS_OK = 0,
    /**
     * Nothing arrived in the time you gave.
     */
    APERTIS_TIMEOUT = 1,
    /**
     * The stream's END has been delivered; there is nothing more.
     */
    APERTIS_DONE = 2,
    /**
     * The caller's own mistake: NULL where something is needed, an absurd number, an unknown value.
     */
    APERTIS_ERROR_INVALID_ARGUMENT = -100,
    /**
     * A handle that is NULL, was freed, or is of another kind.
     */
    APERTIS_ERROR_INVALID_HANDLE = -101,
    /**
     * Text that is not UTF-8.
     */
    APERTIS_ERROR_INVALID_UTF8 = -102,
    /**
     * Text that should be JSON and is not.
     */
    APERTIS_ERROR_INVALID_JSON = -103,
    /**
     * No key in the configuration and none in APERTIS_API_KEY.
     */
    APERTIS_ERROR_MISSING_API_KEY = -104,
    /**
     * The call would wait for itself: it was made inside a callback that it would wait for.
     */
    APERTIS_ERROR_WOULD_DEADLOCK = -105,
    /**
     * The stream was cancelled.
     */
    APERTIS_ERROR_CANCELLED = -200,
    /**
     * The library was shut down; a new client starts it afresh.
     */
    APERTIS_ERROR_SHUTDOWN = -201,
    /**
     * The handle is of the parent process; make new ones in the child.
     */
    APERTIS_ERROR_FORKED = -202,
    /**
     * No connection: refused, unreachable, or a name that does not resolve.
     */
    APERTIS_ERROR_CONNECT = -300,
    /**
     * The certificate or the handshake; the message names the cause. Never retried.
     */
    APERTIS_ERROR_TLS = -301,
    /**
     * One of the four time limits, or the gateway's own.
     */
    APERTIS_ERROR_TIMED_OUT = -302,
    /**
     * The connection broke.
     */
    APERTIS_ERROR_DISCONNECTED = -303,
    /**
     * The server sent more than the library takes in.
     */
    APERTIS_ERROR_TOO_LARGE = -304,
    /**
     * The answer is not what the format says.
     */
    APERTIS_ERROR_PROTOCOL = -400,
    /**
     * The answer ended before its end; the part that came is attached.
     */
    APERTIS_ERROR_TRUNCATED = -401,
    /**
     * The output does not satisfy the schema that was set.
     */
    APERTIS_ERROR_SCHEMA = -402,
    /**
     * The model asked for more rounds of tools than were allowed.
     */
    APERTIS_ERROR_TOOL_ROUNDS = -403,
    /**
     * The provider does not take the key.
     */
    APERTIS_ERROR_AUTHENTICATION = -500,
    /**
     * The key may not do this.
     */
    APERTIS_ERROR_PERMISSION = -501,
    /**
     * The account has nothing left. Never retried.
     */
    APERTIS_ERROR_QUOTA = -502,
    /**
     * Too many requests; see apertis_error_retry_after_ms.
     */
    APERTIS_ERROR_RATE_LIMITED = -503,
    /**
     * No such model or endpoint.
     */
    APERTIS_ERROR_NOT_FOUND = -504,
    /**
     * The provider does not like the request; the message says why.
     */
    APERTIS_ERROR_BAD_REQUEST = -505,
    /**
     * The conversation is longer than the model's context window.
     */
    APERTIS_ERROR_CONTEXT_LENGTH = -506,
    /**
     * The provider's filter refused the prompt or stopped the answer.
     */
    APERTIS_ERROR_CONTENT_FILTER = -507,
    /**
     * The provider is overloaded.
     */
    APERTIS_ERROR_OVERLOADED = -508,
    /**
     * The provider failed.
     */
    APERTIS_ERROR_SERVER = -509,
    /**
     * A fault inside the library; please report it.
     */
    APERTIS_ERROR_INTERNAL = -900,
} apertis_status;

/**
 * Which wire format a request goes out in.
 */
typedef enum apertis_format {
    /**
     * Inherit: a request from its client, a client from the library, whose own default is CHAT_COMPLETIONS.
     */
    APERTIS_FORMAT_DEFAULT = 0,
    /**
     * POST {base}/chat/completions
     */
    APERTIS_FORMAT_CHAT_COMPLETIONS = 1,
    /**
     * POST {base}/responses
     */
    APERTIS_FORMAT_RESPONSES = 2,
    /**
     * POST {base}/messages
     */
    APERTIS_FORMAT_MESSAGES = 3,
    /**
     * By the model's name: Claude goes to MESSAGES, models that only RESPONSES serves go there, all others to
     * CHAT_COMPLETIONS.
     */
    APERTIS_FORMAT_AUTO = 4,
} apertis_format;

/**
 * Which time limit.
 */
typedef enum apertis_timeout_kind {
    /**
     * For a connection, TLS included; 10 s unless set.
     */
    APERTIS_TIMEOUT_CONNECT = 1,
    /**
     * From sending the request to the first event of its answer; 10 min unless set.
     */
    APERTIS_TIMEOUT_FIRST_EVENT = 2,
    /**
     * Between two bytes of an answer; keep-alives count as bytes; 5 min unless set.
     */
    APERTIS_TIMEOUT_IDLE = 3,
    /**
     * For everything: waiting for its turn, all attempts, the waits between them; none unless set.
     */
    APERTIS_TIMEOUT_TOTAL = 4,
} apertis_timeout_kind;

/**
 * Whose certificates are trusted.
 */
typedef enum apertis_trust {
    /**
     * The platform's roots, plus those you add. Where the platform has none, the bundled ones.
     */
    APERTIS_TRUST_SYSTEM = 0,
    /**
     * Mozilla's roots inside the library, plus those you add.
     */
    APERTIS_TRUST_BUNDLED = 1,
    /**
     * Only those you add.
     */
    APERTIS_TRUST_ONLY_ADDED = 2,
} apertis_trust;

/**
 * What a client does with a cassette.
 */
typedef enum apertis_cassette {
    /**
     * None: requests go to the network.
     */
    APERTIS_CASSETTE_OFF = 0,
    /**
     * Requests go to the network, and their answers are appended to the file.
     */
    APERTIS_CASSETTE_RECORD = 1,
    /**
     * Answers come from the file; the network is not touched. A miss is APERTIS_ERROR_CONNECT, whose message names the
     * request and what differs from the nearest one that was recorded.
     */
    APERTIS_CASSETTE_REPLAY = 2,
} apertis_cassette;

/**
 * Who speaks.
 */
typedef enum apertis_role {
    APERTIS_ROLE_SYSTEM = 1,
    /**
     * What newer OpenAI models call the system; others know SYSTEM alone.
     */
    APERTIS_ROLE_DEVELOPER = 2,
    APERTIS_ROLE_USER = 3,
    APERTIS_ROLE_ASSISTANT = 4,
} apertis_role;

/**
 * What an event is about. Ignore kinds that you do not know.
 */
typedef enum apertis_event_kind {
    /**
     * No event (the event was NULL).
     */
    APERTIS_EVENT_NONE = 0,
    /**
     * The provider accepted the request; headers are there. At most once; a RETRY may come before it.
     */
    APERTIS_EVENT_STARTED = 1,
    /**
     * A piece of the answer: apertis_event_text is what to append.
     */
    APERTIS_EVENT_TEXT = 2,
    /**
     * A piece of the model's reasoning, or of its summary.
     */
    APERTIS_EVENT_REASONING = 3,
    /**
     * A piece of a refusal.
     */
    APERTIS_EVENT_REFUSAL = 4,
    /**
     * A piece of a call's arguments, as it is written.
     */
    APERTIS_EVENT_TOOL_ARGUMENTS = 5,
    /**
     * One whole call: id, name, and arguments in apertis_event_text and apertis_event_json.
     */
    APERTIS_EVENT_TOOL_CALL = 6,
    /**
     * An attempt failed, apertis_event_error says why; another follows.
     */
    APERTIS_EVENT_RETRY = 7,
    /**
     * An event of the provider's that has no kind here: apertis_event_json, unharmed.
     */
    APERTIS_EVENT_OTHER = 8,
    /**
     * The last one: apertis_event_response, and apertis_event_error where it failed.
     */
    APERTIS_EVENT_END = 9,
} apertis_event_kind;

/**
 * On whose thread the events of a queue are handled. 0 is no value: the choice is yours.
 */
typedef enum apertis_delivery {
    /**
     * You take events with apertis_queue_next.
     */
    APERTIS_DELIVER_PULL = 1,
    /**
     * Callbacks run inside your apertis_queue_pump: the game loop.
     */
    APERTIS_DELIVER_PUMP = 2,
    /**
     * Callbacks run on one thread that the queue owns.
     */
    APERTIS_DELIVER_THREAD = 3,
} apertis_delivery;

/**
 * Why the model stopped.
 */
typedef enum apertis_finish {
    /**
     * The provider did not say, or said something new: see apertis_response_finish_reason.
     */
    APERTIS_FINISH_UNKNOWN = 0,
    APERTIS_FINISH_STOP = 1,
    /**
     * The token limit was reached: the answer is cut.
     */
    APERTIS_FINISH_LENGTH = 2,
    /**
     * The model waits for the results of its tool calls.
     */
    APERTIS_FINISH_TOOL_CALLS = 3,
    APERTIS_FINISH_CONTENT_FILTER = 4,
    APERTIS_FINISH_REFUSAL = 5,
    /**
     * The provider paused a long turn: add the response to the request and send it again.
     */
    APERTIS_FINISH_PAUSED = 6,
    /**
     * Cancelled or cut off: this is a part.
     */
    APERTIS_FINISH_INTERRUPTED = 7,
} apertis_finish;

/**
 * Which token count.
 */
typedef enum apertis_usage {
    /**
     * All input, what came from a cache included.
     */
    APERTIS_USAGE_INPUT = 1,
    /**
     * All output, reasoning included where the provider counts it there.
     */
    APERTIS_USAGE_OUTPUT = 2,
    APERTIS_USAGE_TOTAL = 3,
    /**
     * The part of the input that came from a cache.
     */
    APERTIS_USAGE_CACHED_INPUT = 4,
    /**
     * The part of the input that was written to a cache.
     */
    APERTIS_USAGE_CACHE_WRITE = 5,
    APERTIS_USAGE_REASONING = 6,
} apertis_usage;

/**
 * Which moment, counted in microseconds from the call that started the request.
 */
typedef enum apertis_timing {
    /**
     * It had waited for its turn.
     */
    APERTIS_TIMING_QUEUED = 1,
    /**
     * The head of the answer was there.
     */
    APERTIS_TIMING_HEADERS = 2,
    /**
     * The first delta was there: the time to the first token.
     */
    APERTIS_TIMING_FIRST_DELTA = 3,
    /**
     * It had ended.
     */
    APERTIS_TIMING_TOTAL = 4,
} apertis_timing;

/**
 * How much goes to the log.
 */
typedef enum apertis_log_level {
    APERTIS_LOG_OFF = 0,
    /**
     * Faults of the library.
     */
    APERTIS_LOG_ERROR = 1,
    /**
     * What works, but not as set up.
     */
    APERTIS_LOG_WARN = 2,
    /**
     * Retries, and streams that end with an error.
     */
    APERTIS_LOG_INFO = 3,
    /**
     * Each request: method, URL without its query, status, time.
     */
    APERTIS_LOG_DEBUG = 4,
    /**
     * Each network read: its size.
     */
    APERTIS_LOG_TRACE = 5,
} apertis_log_level;

/**
 * What requests are sent with: key, base URL, connections, limits. One serves any number of threads and streams.
 */
typedef struct apertis_client apertis_client;

/**
 * How a client is set up. Made by apertis_config_new, copied by apertis_client_new.
 */
typedef struct apertis_config apertis_config;

/**
 * Texts as vectors.
 */
typedef struct apertis_embeddings apertis_embeddings;

/**
 * What went wrong, with all that is known of it. Yours when a function's last parameter hands it out; lent when it comes
 * from an event.
 */
typedef struct apertis_error apertis_error;

/**
 * Something that a stream tells. Lent: until the callback's return, or until the next pull by the same thread.
 */
typedef struct apertis_event apertis_event;

/**
 * Where the events of any number of streams come together.
 */
typedef struct apertis_queue apertis_queue;

/**
 * A conversation and the options of its answer. It may be sent any number of times.
 */
typedef struct apertis_request apertis_request;

/**
 * An answer, the same whether it was streamed or not.
 */
typedef struct apertis_response apertis_response;

/**
 * An answer on its way.
 */
typedef struct apertis_stream apertis_stream;

/**
 * Receives an event.
 */
typedef void (*apertis_event_fn)(void *user_data, const struct apertis_event *event);

/**
 * Called once, after the last use of `user_data`.
 */
typedef void (*apertis_drop_fn)(void *user_data);

/**
 * Receives a log line: UTF-8, `length` bytes, NUL-terminated, lent for the call. It runs on any thread, the library's own
 * among them and several at once: it may write the line somewhere, and must not call into the library.
 */
typedef void (*apertis_log_fn)(void *user_data, int32_t level, const char *message, size_t length);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * ---- Version -------------------------------------------------------------------------------------------------------
 *
 * The library's version as 0xMMmmpp; equals APERTIS_VERSION_NUMBER where header and library belong together.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
uint32_t apertis_version_number(void);

/**
 * The library's version as text, "0.1.0". Static: never freed.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_version_string(void);

/**
 * ---- Status and errors ---------------------------------------------------------------------------------------------
 *
 * The name of a status, "APERTIS_ERROR_QUOTA". Total: for a number that is no status "APERTIS_ERROR_UNKNOWN". Static:
 * never freed.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_status_name(int32_t status);

/**
 * Frees an error that is yours; one that an event lends stays. NULL and stale handles are ignored.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
void apertis_error_free(struct apertis_error *error);

/**
 * Which error: an apertis_status below 0. APERTIS_OK where `error` is no error: that of an END that succeeded is NULL.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
int32_t apertis_error_status(const struct apertis_error *error);

/**
 * What went wrong, in one line for people; it never holds a key. Lent by `error`. NULL where `error` is no error.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_error_message(const struct apertis_error *error);

/**
 * The HTTP status of the answer that failed; 0: there was no answer.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
int32_t apertis_error_http_status(const struct apertis_error *error);

/**
 * The provider's own code, "model_not_found"; NULL: there was none. Lent by `error`.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_error_provider_code(const struct apertis_error *error);

/**
 * The provider's own type, "invalid_request_error"; NULL: there was none. Lent by `error`. Types differ between providers
 * and versions of one provider: decide by apertis_error_status.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_error_provider_type(const struct apertis_error *error);

/**
 * The id under which the provider's support finds the request; NULL: there was none. Lent by `error`.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_error_request_id(const struct apertis_error *error);

/**
 * How long the server asked to wait, in milliseconds; -1: it did not say.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
int64_t apertis_error_retry_after_ms(const struct apertis_error *error);

/**
 * 1 where the same request may succeed later, 0 where it will not. The library's own retries have been made already.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
int32_t apertis_error_is_retryable(const struct apertis_error *error);

/**
 * How many requests were sent; 0: none was.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
int32_t apertis_error_attempts(const struct apertis_error *error);

/**
 * The body of the failed answer as it came, up to 1 MiB of it; NULL: there was none. It need not be text. Lent by `error`;
 * `length` (may be NULL) receives its size in bytes.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_error_body(const struct apertis_error *error,
                               size_t *length);

/**
 * ---- Configuration -------------------------------------------------------------------------------------------------
 *
 * A configuration with all defaults. Yours: free it with apertis_config_free. NULL only without memory.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
struct apertis_config *apertis_config_new(void);

/**
 * Frees a configuration; clients made with it stay as they are. NULL and stale handles are ignored.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
void apertis_config_free(struct apertis_config *config);

/**
 * Sets the key; without this the environment's APERTIS_API_KEY counts. Blanks and line ends around it are taken off. ""
 * sends no key at all, which is for bases other than the default: local servers and proxies.
 *
 * Errors: INVALID_ARGUMENT (NULL, or characters that no header may carry), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_api_key(struct apertis_config *config, const char *key);

/**
 * Sets the base URL; without this the environment's APERTIS_API_BASE counts, then "https://api.apertis.ai/v1". With or
 * without "/v1", with or without a slash at its end, or the full URL of an endpoint: all work. A query is kept.
 *
 * Errors: INVALID_ARGUMENT (NULL, or no http or https URL), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_api_base(struct apertis_config *config, const char *url);

/**
 * Sets the wire format (an apertis_format) of requests that do not set their own; CHAT_COMPLETIONS unless set.
 *
 * Errors: INVALID_ARGUMENT, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_format(struct apertis_config *config, int32_t format);

/**
 * Sets the model of requests that do not set their own; "gpt-5.2" unless set.
 *
 * Errors: INVALID_ARGUMENT (NULL or empty), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_model(struct apertis_config *config, const char *model);

/**
 * Sets the temperature, 0 to 2, of requests that do not set their own; 0.1 unless set. The default is left out for models
 * that are known to reject any temperature; what you set is always sent.
 *
 * Errors: INVALID_ARGUMENT, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_temperature(struct apertis_config *config,
                                                   double value);

/**
 * Sets how many tokens an answer may have, for requests that do not set their own; 256 unless set. 0: as many as the
 * provider allows.
 *
 * Errors: INVALID_ARGUMENT (below 0), INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_max_tokens(struct apertis_config *config, int64_t tokens);

/**
 * Sets how many attempts may follow the first; 5 unless set, 0 for none, 100 at most. Connection errors, time-outs before
 * an answer, 408, 409, 429 and 500 and above are tried again after 0.5, 1, 2, 4, 8, 8 ... s (less up to a quarter), or after
 * what the server asks for, up to 120 s. Quota, key and TLS errors never are, and nothing is once a delta was delivered.
 *
 * Errors: INVALID_ARGUMENT, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_max_retries(struct apertis_config *config,
                                                   int32_t retries);

/**
 * Sets a time limit (`kind`: an apertis_timeout_kind) in milliseconds; 0: none.
 *
 * Errors: INVALID_ARGUMENT, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_timeout(struct apertis_config *config, int32_t kind, int64_t ms);

/**
 * Sets a header that every request has; the same name again replaces the value. It goes before what the library would send
 * under that name; what HTTP itself needs (Host, Content-Length, ...) cannot be set.
 *
 * Errors: INVALID_ARGUMENT (NULL, a name or a value that no header may have: line breaks above all), INVALID_UTF8,
 * INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_header(struct apertis_config *config,
                                              const char *name,
                                              const char *value);

/**
 * Sets the User-Agent; "libapertis/VERSION" unless set.
 *
 * Errors: INVALID_ARGUMENT (NULL, empty, or characters that no header may carry), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_user_agent(struct apertis_config *config, const char *value);

/**
 * Sets the proxy, "http://user:password@host:port". NULL: by the environment (https_proxy, http_proxy, all_proxy,
 * no_proxy, also in capitals), which is how it is unless set. "": none.
 *
 * Errors: INVALID_ARGUMENT (no URL), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_proxy(struct apertis_config *config, const char *url);

/**
 * Sets whose certificates are trusted (an apertis_trust); SYSTEM unless set.
 *
 * Errors: INVALID_ARGUMENT, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_trust(struct apertis_config *config, int32_t trust);

/**
 * Adds trusted root certificates: one or several in PEM, `length` bytes or APERTIS_NTS. Copied.
 *
 * Errors: INVALID_ARGUMENT (NULL, or no certificate in it), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_add_ca_pem(struct apertis_config *config, const char *pem, size_t length);

/**
 * Sets how many requests of a client may be under way at once; more wait their turn, in the order of their start. 0: no
 * limit, which is how it is unless set. How long a request waited is its APERTIS_TIMING_QUEUED.
 *
 * Errors: INVALID_ARGUMENT (below 0), INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_max_in_flight(struct apertis_config *config, int32_t requests);

/**
 * Sets how many requests of a client may start within any minute; more wait their turn. 0: no limit, which is how it is
 * unless set. Every attempt counts. A client with such a limit also pauses all its requests for as long as a 429 asks, and, where
 * an answer's X-RateLimit headers say that nothing remains, until their reset; both up to 120 s.
 *
 * Errors: INVALID_ARGUMENT (below 0), INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_rate_limit(struct apertis_config *config,
                                                  int32_t requests_per_minute);

/**
 * Records answers to a file, or plays them back without a network (`mode`: an apertis_cassette), so that tests need neither
 * a key nor a server. The file is JSON lines; keys and the requests' headers are never in it. It is opened by
 * apertis_client_new, which fails where it cannot. A request is found again by method, path and body; one that was recorded
 * several times is answered in that order, and from then on with the last. Replay goes as fast as you take the events. A
 * key is still needed, any will do.
 *
 * Errors: INVALID_ARGUMENT (unknown mode, `path` NULL or empty unless OFF), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_config_set_cassette(struct apertis_config *config,
                                                int32_t mode,
                                                const char *path);

/**
 * ---- Client --------------------------------------------------------------------------------------------------------
 *
 * Makes a client from `config`, which is copied; NULL: all defaults, key and base from the environment. The environment is
 * read here and nowhere else. No connection is opened and no thread started yet. Yours: free it with apertis_client_free.
 *
 * Errors: MISSING_API_KEY (the message names both ways to set one), INVALID_ARGUMENT (a base, key or proxy from the
 * environment that cannot be used, `client` NULL), INVALID_HANDLE.
 * Threads: any. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_client_new(const struct apertis_config *config,
                                       struct apertis_client **client,
                                       struct apertis_error **error);

/**
 * Frees a client; its streams go on to their END. NULL and stale handles are ignored.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
void apertis_client_free(struct apertis_client *client);

/**
 * Opens a connection ahead of the first request, so that it need not wait for TCP and TLS: a HEAD request to the base,
 * whose answer does not matter. Waits until the connection is there.
 *
 * Errors: APERTIS_TIMEOUT (not in `timeout_ms`; the opening goes on), CONNECT, TLS, SHUTDOWN, WOULD_DEADLOCK,
 * INVALID_HANDLE.
 * Threads: any. From callbacks: yes, but it waits. Blocks: up to `timeout_ms` (< 0: no limit but the connect timeout).
 */
enum apertis_status apertis_client_warm(struct apertis_client *client,
                                        int64_t timeout_ms,
                                        struct apertis_error **error);

/**
 * ---- One call, one answer (these wait) -----------------------------------------------------------------------------
 *
 * Asks `prompt` (`length` bytes or APERTIS_NTS) with the client's defaults and waits for the whole answer, which is yours:
 * free it with apertis_response_free.
 *
 * Errors: all; see apertis_error. On a failure that left something, *response receives the part that came; otherwise it is
 * NULL.
 * Threads: any. From callbacks: yes, but it waits. Blocks: until the answer is there; see apertis_config_set_timeout.
 */
enum apertis_status apertis_client_complete(struct apertis_client *client,
                                            const char *prompt,
                                            size_t length,
                                            struct apertis_response **response,
                                            struct apertis_error **error);

/**
 * Sends the conversation of `request`, which stays yours and as it is, and waits for the whole answer, which is yours too.
 *
 * Errors: all; see apertis_error. On a failure that left something, *response receives the part that came; otherwise it is
 * NULL.
 * Threads: any. From callbacks: yes, but it waits. Blocks: until the answer is there; see apertis_config_set_timeout.
 */
enum apertis_status apertis_client_chat(struct apertis_client *client,
                                        const struct apertis_request *request,
                                        struct apertis_response **response,
                                        struct apertis_error **error);

/**
 * The same, streamed: each event is handed to `on_event` (may be NULL) on this thread as it arrives, END last. The event is
 * lent for the call. apertis_event_stream inside the callback gives a handle to cancel with. `response` may be NULL.
 *
 * Errors: all; see apertis_error. On a failure that left something, *response receives the part that came.
 * Threads: any. From callbacks: yes, but it waits. Blocks: until END.
 */
enum apertis_status apertis_client_chat_stream(struct apertis_client *client,
                                               const struct apertis_request *request,
                                               apertis_event_fn on_event,
                                               void *user_data,
                                               struct apertis_response **response,
                                               struct apertis_error **error);

/**
 * apertis_client_complete, streamed as apertis_client_chat_stream does.
 *
 * Errors: all; see apertis_error. On a failure that left something, *response receives the part that came.
 * Threads: any. From callbacks: yes, but it waits. Blocks: until END.
 */
enum apertis_status apertis_client_complete_stream(struct apertis_client *client,
                                                   const char *prompt,
                                                   size_t length,
                                                   apertis_event_fn on_event,
                                                   void *user_data,
                                                   struct apertis_response **response,
                                                   struct apertis_error **error);

/**
 * ---- Request: a conversation and how to answer it ------------------------------------------------------------------
 *
 * An empty conversation with no option set. Yours: free it with apertis_request_free. NULL only without memory.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
struct apertis_request *apertis_request_new(void);

/**
 * A copy of a request, its key included, that goes its own way. Yours. NULL where `request` is no request.
 *
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
struct apertis_request *apertis_request_clone(const struct apertis_request *request);

/**
 * Frees a request; streams started with it go on. NULL and stale handles are ignored.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
void apertis_request_free(struct apertis_request *request);

/**
 * Adds a message of `role` (an apertis_role): `length` bytes of UTF-8, or APERTIS_NTS. Copied.
 *
 * Errors: INVALID_ARGUMENT (no such role, `text` NULL), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_add_message(struct apertis_request *request,
                                                int32_t role,
                                                const char *text,
                                                size_t length);

/**
 * Attaches what is at `url` to the message added last, which must be the user's. The media type says what it is: "image/png",
 * "audio/wav", "video/mp4", "application/pdf". What the format of the request cannot carry is an error of its start.
 *
 * Errors: INVALID_ARGUMENT (NULL or empty, no message to attach to), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_attach_url(struct apertis_request *request,
                                               const char *media_type,
                                               const char *url);

/**
 * Attaches `size` bytes to the message added last, which must be the user's. `file_name` (may be NULL) is what documents are
 * called. Copied.
 *
 * Errors: INVALID_ARGUMENT (NULL or empty, no message to attach to), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_attach_data(struct apertis_request *request,
                                                const char *media_type,
                                                const char *file_name,
                                                const void *data,
                                                size_t size);

/**
 * Adds the assistant's turn exactly as it came: reasoning, signatures, tool calls and unknown parts included; after tool
 * rounds the whole exchange. Replayed in another format it says what that one can carry. `response` stays yours.
 *
 * Errors: INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_add_response(struct apertis_request *request,
                                                 const struct apertis_response *response);

/**
 * Adds the result of a tool call: `length` bytes of UTF-8, or APERTIS_NTS. `is_error` not 0: the tool failed, and the text
 * says why.
 *
 * Errors: INVALID_ARGUMENT (`call_id` NULL or empty), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_add_tool_result(struct apertis_request *request,
                                                    const char *call_id,
                                                    const char *text,
                                                    size_t length,
                                                    int32_t is_error);

/**
 * Sets the model; the client's unless set.
 *
 * Errors: INVALID_ARGUMENT (NULL or empty), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_model(struct apertis_request *request, const char *model);

/**
 * Sets the wire format (an apertis_format); DEFAULT: the client's.
 *
 * Errors: INVALID_ARGUMENT, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_format(struct apertis_request *request, int32_t format);

/**
 * Sets the temperature, 0 to 2; the client's unless set. What you set is always sent.
 *
 * Errors: INVALID_ARGUMENT, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_temperature(struct apertis_request *request, double value);

/**
 * Sets top_p, 0 to 1; not sent unless set.
 *
 * Errors: INVALID_ARGUMENT, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_top_p(struct apertis_request *request, double value);

/**
 * Sets how many tokens the answer may have; the client's unless set, 0: as many as the provider allows.
 *
 * Errors: INVALID_ARGUMENT (below 0), INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_max_tokens(struct apertis_request *request, int64_t tokens);

/**
 * Sets the seed; not sent unless set. Chat Completions alone knows seeds: with another format the start is an error.
 *
 * Errors: INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_seed(struct apertis_request *request, int64_t seed);

/**
 * Adds a sequence at which the model stops. Responses knows none: with that format the start is an error.
 *
 * Errors: INVALID_ARGUMENT (NULL or empty), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_add_stop(struct apertis_request *request, const char *sequence);

/**
 * Sets how much the model reasons, in the provider's word: "none", "minimal", "low", "medium", "high", "xhigh", "max". Sent
 * in each format's own place; not sent unless set.
 *
 * Errors: INVALID_ARGUMENT (NULL or empty), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_reasoning_effort(struct apertis_request *request,
                                                         const char *effort);

/**
 * Sets a time limit (`kind`: an apertis_timeout_kind) in milliseconds, 0: none; the client's unless set.
 *
 * Errors: INVALID_ARGUMENT, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_timeout(struct apertis_request *request, int32_t kind, int64_t ms);

/**
 * Sends this request alone with this key: one player, one token. "": without any. Not saved by apertis_request_json.
 *
 * Errors: INVALID_ARGUMENT (NULL, or characters that no header may carry), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_api_key(struct apertis_request *request, const char *key);

/**
 * Sets a header of this request; it goes before the client's. See apertis_config_set_header.
 *
 * Errors: INVALID_ARGUMENT (NULL, a name or a value that no header may have), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_header(struct apertis_request *request, const char *name, const char *value);

/**
 * Sets any field of the body, last and as it is: `json` is a JSON value, in the words of the request's format. NULL removes
 * the field, whoever set it.
 *
 * Errors: INVALID_ARGUMENT (`field` NULL or empty), INVALID_JSON, INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_json(struct apertis_request *request,
                                             const char *field,
                                             const char *json);

/**
 * Adds a model that the gateway tries when those before it fail, in this order; five at most.
 *
 * Errors: INVALID_ARGUMENT (NULL or empty, a sixth), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_add_fallback_model(struct apertis_request *request, const char *model);

/**
 * Asks for an answer that is JSON of this schema. It is asked of the provider, in each format's way, and checked here: what
 * models put around the JSON is taken off, and an answer that breaks the schema ends with APERTIS_ERROR_SCHEMA, which names
 * the place, with the response attached. apertis_response_output gives the JSON. `name` is what the provider calls it.
 *
 * Providers enforce a strict subset: the root is an object, and every object has "additionalProperties": false and lists all
 * its properties as required (an optional one may be null). A schema outside of it is an error of the start, which names the
 * place.
 *
 * Errors: INVALID_ARGUMENT (NULL; `name` not of letters, digits, "_" and "-", 64 at most; no JSON Schema), INVALID_JSON,
 * INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_output_schema(struct apertis_request *request,
                                                      const char *name,
                                                      const char *schema_json);

/**
 * Adds a function that the model may call. `description` may be NULL; `parameters_schema_json` is a JSON Schema of type
 * object, NULL for a function without parameters. A tool of the same name is replaced.
 *
 * Errors: INVALID_ARGUMENT (`name` NULL, or not of letters, digits, "_" and "-", 128 at most; a schema that is no object),
 * INVALID_JSON, INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_add_tool(struct apertis_request *request,
                                             const char *name,
                                             const char *description,
                                             const char *parameters_schema_json);

/**
 * Sets whether tools are called: "auto", "none", "required", or a tool's name. Not sent unless set.
 *
 * Errors: INVALID_ARGUMENT (NULL or empty), INVALID_UTF8, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_tool_choice(struct apertis_request *request, const char *choice);

/**
 * Sets whether the model may call several tools at once: 0 no, anything else yes. Not sent unless set.
 *
 * Errors: INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_parallel_tool_calls(struct apertis_request *request, int32_t allowed);

/**
 * Lets the stream go on by itself after tool calls, up to `rounds` times (0: not, which is how it is unless set; 1000 at
 * most): each TOOL_CALL event waits for its apertis_stream_reply, and when all calls of a round have theirs the next round is
 * sent. A model that then still asks for tools ends the stream with APERTIS_ERROR_TOOL_ROUNDS. A call whose arguments are no
 * JSON has no event: the library tells the model so. END's response holds the last answer, the usage of all rounds, and the
 * whole exchange, so that apertis_request_add_response continues the conversation. Calls that nobody can reply to (those
 * of apertis_client_chat, and of streams without callback that wait) are data in the response, as without this.
 *
 * Errors: INVALID_ARGUMENT, INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_set_max_tool_rounds(struct apertis_request *request,
                                                        int32_t rounds);

/**
 * The conversation and its options as one JSON document, to save; keys are not in it. apertis_request_from_json reads it.
 * Lent by `request`; `length` (may be NULL) receives its size in bytes. NULL where `request` is no request.
 *
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
const char *apertis_request_json(const struct apertis_request *request,
                                 size_t *length);

/**
 * Reads what apertis_request_json wrote: `length` bytes, or APERTIS_NTS. *request is yours.
 *
 * Errors: INVALID_JSON (also: JSON that is no saved request), INVALID_UTF8, INVALID_ARGUMENT (NULL).
 * Threads: any. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_request_from_json(const char *json,
                                              size_t length,
                                              struct apertis_request **request,
                                              struct apertis_error **error);

/**
 * The exact body that apertis_client_start would send for this request, without sending it. Lent by `request`, until it is
 * changed or freed; `length` (may be NULL) receives its size in bytes.
 *
 * Errors: INVALID_ARGUMENT (no message, an option that the format cannot carry, `body` NULL), INVALID_HANDLE.
 * Threads: one at a time. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_client_preview(struct apertis_client *client,
                                           struct apertis_request *request,
                                           const char **body,
                                           size_t *length,
                                           struct apertis_error **error);

/**
 * What the event is about: an apertis_event_kind. NONE for NULL.
 *
 * Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
 */
int32_t apertis_event_kind_of(const struct apertis_event *event);

/**
 * The stream that the event belongs to: the handle that starting it gave, to compare or to cancel. Lent: do not free it. It
 * is stale where you have freed yours already.
 *
 * Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
 */
struct apertis_stream *apertis_event_stream(const struct apertis_event *event);

/**
 * The `user_data` that the stream was started with. NULL where there was none, and after a shutdown.
 *
 * Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
 */
void *apertis_event_user_data(const struct apertis_event *event);

/**
 * The piece that a TEXT, REASONING, REFUSAL or TOOL_ARGUMENTS event brings, whole code points; of a TOOL_CALL its
 * arguments. NULL for other kinds. Lent by the event; `length` (may be NULL) receives its size in bytes.
 *
 * Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
 */
const char *apertis_event_text(const struct apertis_event *event, size_t *length);

/**
 * The id of the call that a TOOL_CALL or TOOL_ARGUMENTS event is about; NULL for other kinds, and where the provider has
 * not said it yet. Lent by the event.
 *
 * Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
 */
const char *apertis_event_tool_call_id(const struct apertis_event *event);

/**
 * The name of the tool that a TOOL_CALL or TOOL_ARGUMENTS event is about; NULL for other kinds, and where the provider has
 * not said it yet. Lent by the event.
 *
 * Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
 */
const char *apertis_event_tool_name(const struct apertis_event *event);

/**
 * The JSON of an OTHER event, as the provider sent it; of a TOOL_CALL its arguments. NULL for other kinds. Lent by the
 * event; `length` (may be NULL) receives its size in bytes.
 *
 * Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
 */
const char *apertis_event_json(const struct apertis_event *event, size_t *length);

/**
 * The whole answer, or the part that came, of an END event; NULL for other kinds. Lent by the event: to keep it, add it to a
 * request, take its JSON, or use apertis_stream_wait.
 *
 * Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
 */
const struct apertis_response *apertis_event_response(const struct apertis_event *event);

/**
 * Why an END failed, or why a RETRY follows; NULL for a success and for other kinds. Lent by the event.
 *
 * Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
 */
const struct apertis_error *apertis_event_error(const struct apertis_event *event);

/**
 * ---- Streams that do not wait --------------------------------------------------------------------------------------
 *
 * Starts a stream and returns at once; its events are taken with apertis_stream_next. `request` stays yours. `*stream` is
 * yours: free it with apertis_stream_free, before or after its END.
 *
 * Errors: INVALID_ARGUMENT (no message in the request, an option that the format cannot carry, `stream` NULL),
 * INVALID_HANDLE, SHUTDOWN, FORKED, INTERNAL (no thread or descriptor left). What goes wrong later is in the END.
 * Threads: any. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_client_start(struct apertis_client *client,
                                         const struct apertis_request *request,
                                         struct apertis_stream **stream,
                                         struct apertis_error **error);

/**
 * Takes the next event. `timeout_ms` 0: looks, does not wait; < 0: waits as long as it takes. The event is lent until this
 * thread's next pull from this stream, or until the stream is freed. Adjacent deltas of one kind that arrived since the last
 * call come as one event. Memory stays bounded: while nobody takes the events, the socket is not read. Nothing is dropped.
 *
 * Returns OK with an event, TIMEOUT where nothing arrived in time, DONE after END was taken; *event is NULL then.
 * Errors: INVALID_HANDLE (also: freed while this waited), INVALID_ARGUMENT (`event` NULL, or the stream's queue has
 * callbacks), WOULD_DEADLOCK (inside a hook on a thread of the library).
 * Threads: any, several at once. From callbacks: yes. Blocks: up to `timeout_ms`.
 */
enum apertis_status apertis_stream_next(struct apertis_stream *stream,
                                        int64_t timeout_ms,
                                        const struct apertis_event **event);

/**
 * Takes what is left and returns the whole answer, which is yours. After END it returns the same again. For a stream whose
 * queue has callbacks it takes nothing, but waits until the callback has had the END.
 *
 * Returns OK, or TIMEOUT: then call it again.
 * Errors: all; see apertis_error. On a failure that left something, *response receives the part that came.
 * WOULD_DEADLOCK inside a callback of the stream's queue.
 * Threads: any. From callbacks: of other queues. Blocks: up to `timeout_ms` (< 0: until END).
 */
enum apertis_status apertis_stream_wait(struct apertis_stream *stream,
                                        int64_t timeout_ms,
                                        struct apertis_response **response,
                                        struct apertis_error **error);

/**
 * Gives the result of a tool call that a TOOL_CALL event brought: `length` bytes of UTF-8, or APERTIS_NTS; `is_error` not 0:
 * the tool failed, and the text says why. For requests with apertis_request_set_max_tool_rounds. When all calls of a round
 * have theirs, the next round is sent on the same stream. From any thread, at any time, in any order.
 *
 * Errors: INVALID_ARGUMENT (no call of this id waits: unknown, answered already, or the stream has ended), INVALID_UTF8,
 * INVALID_HANDLE.
 * Threads: any. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_stream_reply(struct apertis_stream *stream,
                                         const char *call_id,
                                         const char *text,
                                         size_t length,
                                         int32_t is_error);

/**
 * Asks the stream to end at once: the connection is closed, END follows with APERTIS_ERROR_CANCELLED and the part that
 * came. Any number of times; one that has ended stays as it ended. NULL and stale handles are ignored.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
void apertis_stream_cancel(struct apertis_stream *stream);

/**
 * Frees a stream; one that is under way is cancelled. On a queue with callbacks END still comes, then `drop`. NULL and stale
 * handles are ignored.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
void apertis_stream_free(struct apertis_stream *stream);

/**
 * ---- Many streams, one queue ---------------------------------------------------------------------------------------
 *
 * Makes a queue. `delivery` (an apertis_delivery) says on whose thread its events are handled. Yours: free it with
 * apertis_queue_free. A THREAD queue's thread starts with its first stream.
 *
 * Errors: INVALID_ARGUMENT (no such delivery, `queue` NULL).
 * Threads: any. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_queue_new(int32_t delivery, struct apertis_queue **queue, struct apertis_error **error);

/**
 * Frees a queue: its streams are cancelled, no callback begins any more (one that runs on another thread goes on to its
 * end), every `drop` runs. Their handles stay valid until you free them. NULL and stale handles are ignored.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
void apertis_queue_free(struct apertis_queue *queue);

/**
 * Starts a stream whose events come to `queue`, there to be handed to `on_event` (NULL only for a PULL queue, which never
 * calls it). `drop` (may be NULL) is called once with `user_data`, after its last use: when END has been handled, when the
 * queue is freed, at shutdown, or before this returns where starting fails. `*stream` is yours; where `stream` is NULL the
 * library frees it after END, and apertis_event_stream gives it meanwhile.
 *
 * Errors: INVALID_ARGUMENT (no message, an option that the format cannot carry, no callback), INVALID_HANDLE, SHUTDOWN,
 * FORKED, INTERNAL. What goes wrong later is in the END.
 * Threads: any. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_client_start_on(struct apertis_client *client,
                                            const struct apertis_request *request,
                                            struct apertis_queue *queue,
                                            apertis_event_fn on_event,
                                            void *user_data,
                                            apertis_drop_fn drop,
                                            struct apertis_stream **stream,
                                            struct apertis_error **error);

/**
 * Takes the next event of any stream of a PULL queue; streams take turns. `timeout_ms` 0: looks, does not wait; < 0: waits
 * as long as it takes. The event is lent until this thread's next pull from this queue, or until the queue is freed; several
 * threads may pull at once.
 *
 * Returns OK with an event, or TIMEOUT where nothing arrived in time; *event is NULL then.
 * Errors: INVALID_HANDLE (also: freed while this waited), INVALID_ARGUMENT (`event` NULL, or no PULL queue), SHUTDOWN
 * (after a shutdown, when everything has been taken), WOULD_DEADLOCK (inside a hook on a thread of the library).
 * Threads: any, several at once. From callbacks: yes. Blocks: up to `timeout_ms`.
 */
enum apertis_status apertis_queue_next(struct apertis_queue *queue,
                                       int64_t timeout_ms,
                                       const struct apertis_event **event);

/**
 * Runs the callbacks of what has arrived at a PUMP queue, on this thread, for at most `budget_us` microseconds (0: all of
 * it; at least one callback runs where something waits). Returns how many ran, or an apertis_status below 0. Where another
 * thread is pumping the queue it returns 0.
 *
 * Errors: INVALID_HANDLE, INVALID_ARGUMENT (no PUMP queue, budget below 0), WOULD_DEADLOCK (inside a callback of it).
 * Threads: any. From callbacks: of other queues. Blocks: no, but your callbacks take their time.
 */
int32_t apertis_queue_pump(struct apertis_queue *queue,
                           int64_t budget_us);

/**
 * Sets a hook that runs, on any thread, when an empty queue gets an event, and at once where events wait already. It may
 * signal (a condition variable, a message to a window), not call in. NULL removes it. `drop` (may be NULL) is called once
 * with `user_data`, after the hook's last run; also when this fails.
 *
 * Errors: INVALID_HANDLE.
 * Threads: any. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_queue_set_wakeup(struct apertis_queue *queue,
                                             apertis_drop_fn wakeup,
                                             void *user_data,
                                             apertis_drop_fn drop);

/**
 * A handle that is readable (a Windows event: signalled) while events wait: for poll, epoll, kqueue, libuv. Only poll it; it
 * belongs to the queue and closes with it. -1: there is none (an invalid queue, or no descriptor left).
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
intptr_t apertis_queue_handle(struct apertis_queue *queue);

/**
 * ---- Response ------------------------------------------------------------------------------------------------------
 *
 * Frees a response that is yours; one that an event lends stays. NULL and stale handles are ignored.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
void apertis_response_free(struct apertis_response *response);

/**
 * The answer's text, "" where there is none. Lent by `response`; `length` (may be NULL) receives its size in bytes.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_text(const struct apertis_response *response, size_t *length);

/**
 * What the model showed of its reasoning, "" where there is none; parts are parted by an empty line. Lent by `response`;
 * `length` (may be NULL) receives its size in bytes.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_reasoning(const struct apertis_response *response,
                                       size_t *length);

/**
 * The answer's JSON, where apertis_request_set_output_schema was used and the answer satisfies the schema: what stood around
 * it is taken off. NULL otherwise. Lent by `response`; `length` (may be NULL) receives its size in bytes.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_output(const struct apertis_response *response,
                                    size_t *length);

/**
 * In which words the model refused; NULL: it did not. Lent by `response`; `length` (may be NULL) receives its size in bytes.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_refusal(const struct apertis_response *response,
                                     size_t *length);

/**
 * The answer's id, as the provider gave it; NULL: it gave none. Lent by `response`.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_id(const struct apertis_response *response);

/**
 * The model that answered: after a fallback, the other one. NULL: the provider did not say. Lent by `response`.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_model(const struct apertis_response *response);

/**
 * Why the model stopped: an apertis_finish.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
int32_t apertis_response_finish(const struct apertis_response *response);

/**
 * Why the model stopped, in the provider's word; NULL: it did not say. Lent by `response`.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_finish_reason(const struct apertis_response *response);

/**
 * How many tools the model wants to be called.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
size_t apertis_response_tool_call_count(const struct apertis_response *response);

/**
 * The id that a tool's result has to name; NULL: no such call. Lent by `response`.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_tool_call_id(const struct apertis_response *response, size_t index);

/**
 * The tool's name; NULL: no such call. Lent by `response`.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_tool_call_name(const struct apertis_response *response, size_t index);

/**
 * The call's arguments: JSON as the model wrote it, "{}" where it wrote none; where the answer was cut it need not be whole.
 * NULL: no such call. Lent by `response`; `length` (may be NULL) receives its size in bytes.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_tool_call_arguments(const struct apertis_response *response,
                                                 size_t index,
                                                 size_t *length);

/**
 * A token count (`which`: an apertis_usage); -1: the provider did not say. After tool rounds: of all of them together.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
int64_t apertis_response_usage(const struct apertis_response *response, int32_t which);

/**
 * When something happened (`which`: an apertis_timing), in microseconds from the call that started the request; -1: it did
 * not.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
int64_t apertis_response_timing_us(const struct apertis_response *response,
                                   int32_t which);

/**
 * How many requests it took.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
int32_t apertis_response_attempts(const struct apertis_response *response);

/**
 * The id under which the provider's support finds the request; NULL: it sent none. Lent by `response`.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_request_id(const struct apertis_response *response);

/**
 * A header of the HTTP answer, by its name in any case: rate limits, fallbacks, costs. NULL: there was none. Lent by
 * `response`.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_header(const struct apertis_response *response, const char *name);

/**
 * All of the above and every part of the answer, as one JSON object in our names; include/apertis-response.schema.json describes it.
 * Lent by `response`; `length` (may be NULL) receives its size in bytes.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_json(const struct apertis_response *response,
                                  size_t *length);

/**
 * The provider's own object: the body as it came, or, after a stream, put together from its events. Lent by `response`;
 * `length` (may be NULL) receives its size in bytes.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const char *apertis_response_raw(const struct apertis_response *response, size_t *length);

/**
 * ---- The rest of the gateway ---------------------------------------------------------------------------------------
 *
 * Calls any endpoint with this client's key, retries, timeouts and proxy, and waits. `path` is relative to the base
 * ("models", "images/generations"), with a query where one is wanted. `content_type` may be NULL where `size` is 0. The body
 * of the answer, whatever it is, comes back with apertis_response_raw.
 *
 * Errors: all; see apertis_error. INVALID_ARGUMENT for a method or path that cannot be.
 * Threads: any. From callbacks: yes, but it waits. Blocks: until the answer is there.
 */
enum apertis_status apertis_client_call(struct apertis_client *client,
                                        const char *method,
                                        const char *path,
                                        const char *content_type,
                                        const void *body,
                                        size_t size,
                                        struct apertis_response **response,
                                        struct apertis_error **error);

/**
 * Turns `count` texts (C strings) into vectors and waits. *embeddings is yours: free it with apertis_embeddings_free.
 *
 * Errors: all; see apertis_error. INVALID_ARGUMENT for no text, or one that is NULL; PROTOCOL where the answer does not have
 * a vector of the same size for each text.
 * Threads: any. From callbacks: yes, but it waits. Blocks: until the answer is there.
 */
enum apertis_status apertis_client_embed(struct apertis_client *client,
                                         const char *model,
                                         const char *const *texts,
                                         size_t count,
                                         struct apertis_embeddings **embeddings,
                                         struct apertis_error **error);

/**
 * Frees embeddings. NULL and stale handles are ignored.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
void apertis_embeddings_free(struct apertis_embeddings *embeddings);

/**
 * How many vectors there are: one for each text, in their order.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
size_t apertis_embeddings_count(const struct apertis_embeddings *embeddings);

/**
 * A vector; NULL: there is no such one. Lent by `embeddings`; `dimensions` (may be NULL) receives how many floats it has.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
const float *apertis_embeddings_vector(const struct apertis_embeddings *embeddings,
                                       size_t index,
                                       size_t *dimensions);

/**
 * How many tokens of input and output together a model takes, by what is known of its family; -1: not known.
 *
 * Threads: any. From callbacks: yes. Blocks: no.
 */
int64_t apertis_model_context_window(const char *model);

/**
 * ---- Process -------------------------------------------------------------------------------------------------------
 *
 * Sets the one log sink of the process; lines above `level` (an apertis_log_level) are not made. `log` NULL, or level OFF,
 * removes it. Keys and contents are never logged. `drop` (may be NULL) is called once, when the sink has been replaced and
 * no line is being written to it any more; also when this fails.
 *
 * Errors: INVALID_ARGUMENT (unknown level).
 * Threads: any. From callbacks: yes. Blocks: no.
 */
enum apertis_status apertis_set_log(int32_t level,
                                    apertis_log_fn log,
                                    void *user_data,
                                    apertis_drop_fn drop);

/**
 * Ends the library's activity: every stream under way ends with APERTIS_ERROR_SHUTDOWN, every END that has a callback is
 * delivered, every `drop` runs, every thread of the library is joined. The next apertis_client_new starts afresh; clients
 * made before give APERTIS_ERROR_SHUTDOWN, and every handle stays valid until it is freed. For a PUMP queue the callbacks
 * that wait run on this thread. Streams that you pull keep their END until you take it; apertis_event_user_data gives NULL
 * from then on.
 *
 * `timeout_ms` bounds the wait (< 0: none). A second call while nothing runs, or without any use before, is a success.
 * Plugins call this before they are unloaded, editors before they reload; a program that just exits need not.
 *
 * Errors: APERTIS_TIMEOUT (a callback or a name look-up did not return in time: what is left ends by itself, and calling
 * again goes on waiting), WOULD_DEADLOCK (inside a callback: nothing was done).
 * Threads: any. From callbacks: no. Blocks: up to `timeout_ms`.
 */
enum apertis_status apertis_shutdown(int64_t timeout_ms);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* APERTIS_H */
