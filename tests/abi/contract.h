/*
 * What client programs are written against: a declaration that stands here keeps its name, its parameters and its
 * values for ever. The manual is include/apertis.h, which declares all of it; tests/header.rs compares the two.
 * New declarations are added here with the release that brings them.
 */
#ifndef APERTIS_H
#define APERTIS_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define APERTIS_NTS SIZE_MAX

typedef struct apertis_config apertis_config;
typedef struct apertis_client apertis_client;
typedef struct apertis_request apertis_request;
typedef struct apertis_response apertis_response;
typedef struct apertis_stream apertis_stream;
typedef struct apertis_queue apertis_queue;
typedef struct apertis_event apertis_event;
typedef struct apertis_error apertis_error;
typedef struct apertis_embeddings apertis_embeddings;

uint32_t apertis_version_number(void);
const char *apertis_version_string(void);

typedef enum apertis_status {
    APERTIS_OK = 0,
    APERTIS_TIMEOUT = 1,
    APERTIS_DONE = 2,

    APERTIS_ERROR_INVALID_ARGUMENT = -100,
    APERTIS_ERROR_INVALID_HANDLE = -101,
    APERTIS_ERROR_INVALID_UTF8 = -102,
    APERTIS_ERROR_INVALID_JSON = -103,
    APERTIS_ERROR_MISSING_API_KEY = -104,
    APERTIS_ERROR_WOULD_DEADLOCK = -105,

    APERTIS_ERROR_CANCELLED = -200,
    APERTIS_ERROR_SHUTDOWN = -201,
    APERTIS_ERROR_FORKED = -202,

    APERTIS_ERROR_CONNECT = -300,
    APERTIS_ERROR_TLS = -301,
    APERTIS_ERROR_TIMED_OUT = -302,
    APERTIS_ERROR_DISCONNECTED = -303,
    APERTIS_ERROR_TOO_LARGE = -304,

    APERTIS_ERROR_PROTOCOL = -400,
    APERTIS_ERROR_TRUNCATED = -401,
    APERTIS_ERROR_SCHEMA = -402,
    APERTIS_ERROR_TOOL_ROUNDS = -403,

    APERTIS_ERROR_AUTHENTICATION = -500,
    APERTIS_ERROR_PERMISSION = -501,
    APERTIS_ERROR_QUOTA = -502,
    APERTIS_ERROR_RATE_LIMITED = -503,
    APERTIS_ERROR_NOT_FOUND = -504,
    APERTIS_ERROR_BAD_REQUEST = -505,
    APERTIS_ERROR_CONTEXT_LENGTH = -506,
    APERTIS_ERROR_CONTENT_FILTER = -507,
    APERTIS_ERROR_OVERLOADED = -508,
    APERTIS_ERROR_SERVER = -509,

    APERTIS_ERROR_INTERNAL = -900
} apertis_status;

const char *apertis_status_name(int32_t status);

void apertis_error_free(apertis_error *error);
int32_t apertis_error_status(const apertis_error *error);
const char *apertis_error_message(const apertis_error *error);
int32_t apertis_error_http_status(const apertis_error *error);
const char *apertis_error_provider_code(const apertis_error *error);
const char *apertis_error_provider_type(const apertis_error *error);
const char *apertis_error_request_id(const apertis_error *error);
int64_t apertis_error_retry_after_ms(const apertis_error *error);
int32_t apertis_error_is_retryable(const apertis_error *error);
int32_t apertis_error_attempts(const apertis_error *error);
const char *apertis_error_body(const apertis_error *error, size_t *length);

typedef enum apertis_format {
    APERTIS_FORMAT_DEFAULT = 0,
    APERTIS_FORMAT_CHAT_COMPLETIONS = 1,
    APERTIS_FORMAT_RESPONSES = 2,
    APERTIS_FORMAT_MESSAGES = 3,
    APERTIS_FORMAT_AUTO = 4
} apertis_format;

typedef enum apertis_timeout_kind {
    APERTIS_TIMEOUT_CONNECT = 1,
    APERTIS_TIMEOUT_FIRST_EVENT = 2,
    APERTIS_TIMEOUT_IDLE = 3,
    APERTIS_TIMEOUT_TOTAL = 4
} apertis_timeout_kind;

typedef enum apertis_trust {
    APERTIS_TRUST_SYSTEM = 0,
    APERTIS_TRUST_BUNDLED = 1,
    APERTIS_TRUST_ONLY_ADDED = 2
} apertis_trust;

typedef enum apertis_cassette {
    APERTIS_CASSETTE_OFF = 0,
    APERTIS_CASSETTE_RECORD = 1,
    APERTIS_CASSETTE_REPLAY = 2
} apertis_cassette;

apertis_config *apertis_config_new(void);
void apertis_config_free(apertis_config *config);
apertis_status apertis_config_set_api_key(apertis_config *config, const char *key);
apertis_status apertis_config_set_api_base(apertis_config *config, const char *url);
apertis_status apertis_config_set_format(apertis_config *config, int32_t format);
apertis_status apertis_config_set_model(apertis_config *config, const char *model);
apertis_status apertis_config_set_temperature(apertis_config *config, double value);
apertis_status apertis_config_set_max_tokens(apertis_config *config, int64_t tokens);
apertis_status apertis_config_set_max_retries(apertis_config *config, int32_t retries);
apertis_status apertis_config_set_timeout(apertis_config *config, int32_t kind, int64_t ms);
apertis_status apertis_config_set_header(apertis_config *config, const char *name, const char *value);
apertis_status apertis_config_set_user_agent(apertis_config *config, const char *value);
apertis_status apertis_config_set_proxy(apertis_config *config, const char *url);
apertis_status apertis_config_set_trust(apertis_config *config, int32_t trust);
apertis_status apertis_config_add_ca_pem(apertis_config *config, const char *pem, size_t length);
apertis_status apertis_config_set_max_in_flight(apertis_config *config, int32_t requests);
apertis_status apertis_config_set_rate_limit(apertis_config *config, int32_t requests_per_minute);
apertis_status apertis_config_set_cassette(apertis_config *config, int32_t mode, const char *path);

apertis_status apertis_client_new(const apertis_config *config, apertis_client **client, apertis_error **error);
void apertis_client_free(apertis_client *client);

apertis_status apertis_client_warm(apertis_client *client, int64_t timeout_ms, apertis_error **error);

typedef enum apertis_role {
    APERTIS_ROLE_SYSTEM = 1,
    APERTIS_ROLE_DEVELOPER = 2,
    APERTIS_ROLE_USER = 3,
    APERTIS_ROLE_ASSISTANT = 4
} apertis_role;

apertis_request *apertis_request_new(void);
apertis_request *apertis_request_clone(const apertis_request *request);
void apertis_request_free(apertis_request *request);

apertis_status apertis_request_add_message(apertis_request *request, int32_t role, const char *text, size_t length);

apertis_status apertis_request_attach_url(apertis_request *request, const char *media_type, const char *url);
apertis_status apertis_request_attach_data(apertis_request *request, const char *media_type, const char *file_name, const void *data, size_t size);

apertis_status apertis_request_add_response(apertis_request *request, const apertis_response *response);
apertis_status apertis_request_add_tool_result(apertis_request *request, const char *call_id, const char *text, size_t length, int32_t is_error);

apertis_status apertis_request_set_model(apertis_request *request, const char *model);
apertis_status apertis_request_set_format(apertis_request *request, int32_t format);
apertis_status apertis_request_set_temperature(apertis_request *request, double value);
apertis_status apertis_request_set_top_p(apertis_request *request, double value);
apertis_status apertis_request_set_max_tokens(apertis_request *request, int64_t tokens);
apertis_status apertis_request_set_seed(apertis_request *request, int64_t seed);
apertis_status apertis_request_add_stop(apertis_request *request, const char *sequence);
apertis_status apertis_request_set_reasoning_effort(apertis_request *request, const char *effort);
apertis_status apertis_request_set_timeout(apertis_request *request, int32_t kind, int64_t ms);

apertis_status apertis_request_set_api_key(apertis_request *request, const char *key);
apertis_status apertis_request_set_header(apertis_request *request, const char *name, const char *value);

apertis_status apertis_request_set_json(apertis_request *request, const char *field, const char *json);

apertis_status apertis_request_add_fallback_model(apertis_request *request, const char *model);

apertis_status apertis_request_set_output_schema(apertis_request *request, const char *name, const char *schema_json);
apertis_status apertis_request_add_tool(apertis_request *request, const char *name, const char *description, const char *parameters_schema_json);
apertis_status apertis_request_set_tool_choice(apertis_request *request, const char *choice);
apertis_status apertis_request_set_parallel_tool_calls(apertis_request *request, int32_t allowed);

apertis_status apertis_request_set_max_tool_rounds(apertis_request *request, int32_t rounds);

const char *apertis_request_json(const apertis_request *request, size_t *length);
apertis_status apertis_request_from_json(const char *json, size_t length, apertis_request **request, apertis_error **error);

apertis_status apertis_client_preview(apertis_client *client, apertis_request *request, const char **body, size_t *length, apertis_error **error);

typedef void (*apertis_event_fn)(void *user_data, const apertis_event *event);
typedef void (*apertis_drop_fn)(void *user_data);

apertis_status apertis_client_complete(apertis_client *client, const char *prompt, size_t length, apertis_response **response, apertis_error **error);
apertis_status apertis_client_chat(apertis_client *client, const apertis_request *request, apertis_response **response, apertis_error **error);

apertis_status apertis_client_chat_stream(apertis_client *client, const apertis_request *request, apertis_event_fn on_event, void *user_data, apertis_response **response, apertis_error **error);
apertis_status apertis_client_complete_stream(apertis_client *client, const char *prompt, size_t length, apertis_event_fn on_event, void *user_data, apertis_response **response, apertis_error **error);

typedef enum apertis_event_kind {
    APERTIS_EVENT_NONE = 0,
    APERTIS_EVENT_STARTED = 1,
    APERTIS_EVENT_TEXT = 2,
    APERTIS_EVENT_REASONING = 3,
    APERTIS_EVENT_REFUSAL = 4,
    APERTIS_EVENT_TOOL_ARGUMENTS = 5,
    APERTIS_EVENT_TOOL_CALL = 6,
    APERTIS_EVENT_RETRY = 7,
    APERTIS_EVENT_OTHER = 8,
    APERTIS_EVENT_END = 9
} apertis_event_kind;

apertis_status apertis_client_start(apertis_client *client, const apertis_request *request, apertis_stream **stream, apertis_error **error);

apertis_status apertis_stream_next(apertis_stream *stream, int64_t timeout_ms, const apertis_event **event);

apertis_status apertis_stream_wait(apertis_stream *stream, int64_t timeout_ms, apertis_response **response, apertis_error **error);
apertis_status apertis_stream_reply(apertis_stream *stream, const char *call_id, const char *text, size_t length, int32_t is_error);
void apertis_stream_cancel(apertis_stream *stream);
void apertis_stream_free(apertis_stream *stream);

int32_t apertis_event_kind_of(const apertis_event *event);
apertis_stream *apertis_event_stream(const apertis_event *event);
void *apertis_event_user_data(const apertis_event *event);
const char *apertis_event_text(const apertis_event *event, size_t *length);
const char *apertis_event_tool_call_id(const apertis_event *event);
const char *apertis_event_tool_name(const apertis_event *event);
const char *apertis_event_json(const apertis_event *event, size_t *length);
const apertis_response *apertis_event_response(const apertis_event *event);
const apertis_error *apertis_event_error(const apertis_event *event);

typedef enum apertis_delivery {
    APERTIS_DELIVER_PULL = 1,
    APERTIS_DELIVER_PUMP = 2,
    APERTIS_DELIVER_THREAD = 3
} apertis_delivery;

apertis_status apertis_queue_new(int32_t delivery, apertis_queue **queue, apertis_error **error);
void apertis_queue_free(apertis_queue *queue);

apertis_status apertis_client_start_on(apertis_client *client, const apertis_request *request, apertis_queue *queue, apertis_event_fn on_event, void *user_data, apertis_drop_fn drop, apertis_stream **stream, apertis_error **error);
apertis_status apertis_queue_next(apertis_queue *queue, int64_t timeout_ms, const apertis_event **event);

int32_t apertis_queue_pump(apertis_queue *queue, int64_t budget_us);

apertis_status apertis_queue_set_wakeup(apertis_queue *queue, apertis_drop_fn wakeup, void *user_data, apertis_drop_fn drop);

intptr_t apertis_queue_handle(apertis_queue *queue);

typedef enum apertis_finish {
    APERTIS_FINISH_UNKNOWN = 0,
    APERTIS_FINISH_STOP = 1,
    APERTIS_FINISH_LENGTH = 2,
    APERTIS_FINISH_TOOL_CALLS = 3,
    APERTIS_FINISH_CONTENT_FILTER = 4,
    APERTIS_FINISH_REFUSAL = 5,
    APERTIS_FINISH_PAUSED = 6,
    APERTIS_FINISH_INTERRUPTED = 7
} apertis_finish;

typedef enum apertis_usage {
    APERTIS_USAGE_INPUT = 1,
    APERTIS_USAGE_OUTPUT = 2,
    APERTIS_USAGE_TOTAL = 3,
    APERTIS_USAGE_CACHED_INPUT = 4,
    APERTIS_USAGE_CACHE_WRITE = 5,
    APERTIS_USAGE_REASONING = 6
} apertis_usage;

typedef enum apertis_timing {
    APERTIS_TIMING_QUEUED = 1,
    APERTIS_TIMING_HEADERS = 2,
    APERTIS_TIMING_FIRST_DELTA = 3,
    APERTIS_TIMING_TOTAL = 4
} apertis_timing;

void apertis_response_free(apertis_response *response);
const char *apertis_response_text(const apertis_response *response, size_t *length);
const char *apertis_response_reasoning(const apertis_response *response, size_t *length);
const char *apertis_response_refusal(const apertis_response *response, size_t *length);
const char *apertis_response_id(const apertis_response *response);
const char *apertis_response_model(const apertis_response *response);
int32_t apertis_response_finish(const apertis_response *response);
const char *apertis_response_finish_reason(const apertis_response *response);
size_t apertis_response_tool_call_count(const apertis_response *response);
const char *apertis_response_tool_call_id(const apertis_response *response, size_t index);
const char *apertis_response_tool_call_name(const apertis_response *response, size_t index);
const char *apertis_response_tool_call_arguments(const apertis_response *response, size_t index, size_t *length);
int64_t apertis_response_usage(const apertis_response *response, int32_t which);
int64_t apertis_response_timing_us(const apertis_response *response, int32_t which);
int32_t apertis_response_attempts(const apertis_response *response);
const char *apertis_response_request_id(const apertis_response *response);
const char *apertis_response_header(const apertis_response *response, const char *name);
const char *apertis_response_json(const apertis_response *response, size_t *length);
const char *apertis_response_raw(const apertis_response *response, size_t *length);

apertis_status apertis_client_call(apertis_client *client, const char *method, const char *path, const char *content_type, const void *body, size_t size, apertis_response **response, apertis_error **error);
apertis_status apertis_client_embed(apertis_client *client, const char *model, const char *const *texts, size_t count, apertis_embeddings **embeddings, apertis_error **error);
void apertis_embeddings_free(apertis_embeddings *embeddings);
size_t apertis_embeddings_count(const apertis_embeddings *embeddings);
const float *apertis_embeddings_vector(const apertis_embeddings *embeddings, size_t index, size_t *dimensions);
int64_t apertis_model_context_window(const char *model);

typedef enum apertis_log_level {
    APERTIS_LOG_OFF = 0, APERTIS_LOG_ERROR = 1, APERTIS_LOG_WARN = 2,
    APERTIS_LOG_INFO = 3, APERTIS_LOG_DEBUG = 4, APERTIS_LOG_TRACE = 5
} apertis_log_level;
typedef void (*apertis_log_fn)(void *user_data, int32_t level, const char *message, size_t length);

apertis_status apertis_set_log(int32_t level, apertis_log_fn log, void *user_data, apertis_drop_fn drop);

apertis_status apertis_shutdown(int64_t timeout_ms);

#ifdef __cplusplus
}
#endif
#endif
