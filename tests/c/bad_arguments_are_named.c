/* Each mistake of the caller is told at once, by the right status, in words that name the argument; outputs stay empty. */
#include "story.h"

#define BAD(call) CHECK_STATUS(call, APERTIS_ERROR_INVALID_ARGUMENT)
#define NO_UTF8(call) CHECK_STATUS(call, APERTIS_ERROR_INVALID_UTF8)
#define NO_JSON(call) CHECK_STATUS(call, APERTIS_ERROR_INVALID_JSON)
#define BAD_BECAUSE(call, word) do { error = NULL; BAD(call); CHECK_CONTAINS(apertis_error_message(error), word); apertis_error_free(error); } while (0)

static void on_event(void *user_data, const apertis_event *event) { (void)user_data; (void)event; }

int main(void) {
    static const char latin[] = "caf\xE9";
    double zero = 0;
    apertis_config *config;
    apertis_client *client;
    apertis_request *request, *empty, *without;
    apertis_queue *queue;
    apertis_stream *stream = NULL;
    apertis_response *response = NULL;
    apertis_embeddings *embeddings = NULL;
    apertis_error *error = NULL;
    const apertis_event *event = NULL;

    story_begin();
    config = apertis_config_new();
    BAD(apertis_config_set_api_key(config, NULL));
    BAD(apertis_config_set_api_key(config, "two\nlines"));
    BAD(apertis_config_set_api_base(config, NULL));
    BAD(apertis_config_set_format(config, 99));
    BAD(apertis_config_set_format(config, -1));
    BAD(apertis_config_set_model(config, NULL));
    NO_UTF8(apertis_config_set_model(config, latin));
    BAD(apertis_config_set_temperature(config, zero / zero));
    BAD(apertis_config_set_temperature(config, 1 / zero));
    BAD(apertis_config_set_temperature(config, -0.1));
    BAD(apertis_config_set_temperature(config, 2.1));
    BAD(apertis_config_set_max_tokens(config, -1));
    BAD(apertis_config_set_max_retries(config, -1));
    BAD(apertis_config_set_max_retries(config, 101));
    BAD(apertis_config_set_timeout(config, 0, 5));
    BAD(apertis_config_set_timeout(config, 5, 5));
    BAD(apertis_config_set_timeout(config, APERTIS_TIMEOUT_IDLE, -1));
    BAD(apertis_config_set_header(config, NULL, "x"));
    BAD(apertis_config_set_header(config, "", "x"));
    BAD(apertis_config_set_header(config, "bad name", "x"));
    BAD(apertis_config_set_header(config, "x-a", "split\r\nx-b: smuggled"));
    BAD(apertis_config_set_trust(config, 7));
    BAD(apertis_config_add_ca_pem(config, "not a certificate", APERTIS_NTS));
    BAD(apertis_config_set_max_in_flight(config, -1));
    apertis_config_free(config);

    request = story_request("say=Hi", "Hello");
    BAD(apertis_request_add_message(request, 0, "x", 1));
    BAD(apertis_request_add_message(request, 5, "x", 1));
    BAD(apertis_request_add_message(request, APERTIS_ROLE_USER, NULL, APERTIS_NTS));
    BAD(apertis_request_add_message(request, APERTIS_ROLE_USER, NULL, 3));
    NO_UTF8(apertis_request_add_message(request, APERTIS_ROLE_USER, latin, APERTIS_NTS));
    CHECK_STATUS(apertis_request_add_message(request, APERTIS_ROLE_USER, latin, 3), APERTIS_OK);        /* just before it */
    BAD(apertis_request_set_temperature(request, zero / zero));
    BAD(apertis_request_set_top_p(request, -1));
    BAD(apertis_request_set_max_tokens(request, -5));
    BAD(apertis_request_set_model(request, NULL));
    BAD(apertis_request_set_header(request, "x-a", "a\nb"));
    BAD(apertis_request_set_timeout(request, 77, 1));
    BAD(apertis_request_add_tool(request, NULL, "d", "{}"));
    NO_JSON(apertis_request_add_tool(request, "f", "d", "{"));
    BAD(apertis_request_add_tool_result(request, NULL, "x", 1, 0));
    BAD(apertis_request_attach_data(request, "image/png", NULL, NULL, 5));
    BAD(apertis_request_attach_url(request, "image/png", NULL));

    client = story_client();
    without = empty = apertis_request_new();
    BAD(apertis_client_new(NULL, NULL, NULL));
    BAD_BECAUSE(apertis_client_start(client, request, NULL, &error), "stream");
    BAD_BECAUSE(apertis_client_start(client, empty, &stream, &error), "message");
    BAD_BECAUSE(apertis_client_chat(client, empty, &response, &error), "message");
    BAD_BECAUSE(apertis_client_complete(client, NULL, APERTIS_NTS, &response, &error), "prompt");
    CHECK_STATUS(apertis_client_complete(client, latin, APERTIS_NTS, &response, NULL), APERTIS_ERROR_INVALID_UTF8);
    BAD_BECAUSE(apertis_queue_new(0, &queue, &error), "delivery");
    BAD_BECAUSE(apertis_queue_new(4, &queue, &error), "delivery");
    CHECK(queue == NULL);
    BAD_BECAUSE(apertis_queue_new(APERTIS_DELIVER_PULL, NULL, &error), "queue");
    BAD_BECAUSE(apertis_client_call(client, NULL, "models", NULL, NULL, 0, &response, &error), "method");
    BAD_BECAUSE(apertis_client_call(client, "GET", NULL, NULL, NULL, 0, &response, &error), "path");
    BAD_BECAUSE(apertis_client_call(client, "POST", "models", NULL, NULL, 5, &response, &error), "body");
    BAD_BECAUSE(apertis_client_embed(client, "m", NULL, 2, &embeddings, &error), "text");
    BAD_BECAUSE(apertis_request_from_json(NULL, APERTIS_NTS, &empty, &error), "json");
    CHECK(empty == NULL && stream == NULL && response == NULL && embeddings == NULL);

    queue = story_queue(APERTIS_DELIVER_THREAD);
    BAD_BECAUSE(apertis_client_start_on(client, request, queue, NULL, NULL, NULL, &stream, &error), "on_event");
    BAD(apertis_queue_next(queue, 0, &event));
    CHECK(event == NULL);
    BAD(apertis_queue_pump(queue, 0));
    apertis_queue_free(queue);
    queue = story_queue(APERTIS_DELIVER_PUMP);
    CHECK_STATUS(apertis_client_start_on(client, request, queue, on_event, NULL, NULL, &stream, NULL), APERTIS_OK);
    BAD(apertis_stream_next(stream, 0, &event));
    BAD(apertis_queue_next(queue, 0, &event));
    apertis_stream_free(stream);
    apertis_queue_free(queue);
    queue = story_queue(APERTIS_DELIVER_PULL);
    BAD(apertis_queue_next(queue, 0, NULL));
    BAD(apertis_queue_pump(queue, 0));
    apertis_queue_free(queue);
    CHECK_INT(story_sent_count() <= 1, 1);                      /* only the one that was right */
    apertis_request_free(without);
    apertis_request_free(request);
    apertis_client_free(client);
    return story_end();
}
