/* The provider says no, and the error tells all: what, why, in whose words, when to come back; and never the key. */
#include "story.h"

int main(void) {
    static const char secret[] = "sk-very-secret-0123456789abcdef";
    apertis_client *client;
    apertis_config *config;
    apertis_error *error;
    apertis_response *response = NULL;
    const char *body;
    size_t length = 0;

    story_begin();
    client = story_client();
    error = story_chat_fails(client, "status=429;error=rate_limit_exceeded:rate_limit_error:Slow%20down;retry_after=7;header=x-request-id:req_77");
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_RATE_LIMITED);
    CHECK_INT(apertis_error_http_status(error), 429);
    CHECK_TEXT(apertis_error_provider_code(error), "rate_limit_exceeded");
    CHECK_TEXT(apertis_error_provider_type(error), "rate_limit_error");
    CHECK_TEXT(apertis_error_request_id(error), "req_77");
    CHECK_INT(apertis_error_retry_after_ms(error), 7000);
    CHECK_INT(apertis_error_is_retryable(error), 1);
    CHECK_INT(apertis_error_attempts(error), 1);
    CHECK_CONTAINS(apertis_error_message(error), "Slow down");
    CHECK(strchr(apertis_error_message(error), '\n') == NULL);
    body = apertis_error_body(error, &length);
    CHECK(body != NULL && strlen(body) == length);
    CHECK_TEXT(story_json(body, "error/message"), "Slow down");
    apertis_error_free(error);

    /* What was not said is not made up. */
    error = story_chat_fails(client, "status=500;content_type=text/plain;body=oops");
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_SERVER);
    CHECK(apertis_error_provider_code(error) == NULL);
    CHECK(apertis_error_provider_type(error) == NULL);
    CHECK_INT(apertis_error_retry_after_ms(error), -1);
    CHECK_TEXT(apertis_error_body(error, &length), "oops");
    CHECK_INT(length, 4);
    CHECK_CONTAINS(apertis_error_message(error), "oops");
    apertis_error_free(error);

    /* No answer at all. */
    config = story_config();
    CHECK_STATUS(apertis_config_set_api_base(config, "http://127.0.0.1:1/v1"), APERTIS_OK);
    {
        apertis_client *nowhere = story_client_of(config);
        error = story_chat_fails(nowhere, "say=Hi");
        CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_CONNECT);
        CHECK_INT(apertis_error_http_status(error), 0);
        CHECK(apertis_error_request_id(error) == NULL);
        CHECK(apertis_error_body(error, NULL) == NULL);
        CHECK_CONTAINS(apertis_error_message(error), "127.0.0.1");      /* where it wanted to go */
        apertis_error_free(error);
        apertis_client_free(nowhere);
    }
    /* The provider quotes the key; the message does not. */
    config = story_config();
    CHECK_STATUS(apertis_config_set_api_key(config, secret), APERTIS_OK);
    apertis_client_free(client);
    client = story_client_of(config);
    error = story_chat_fails(client, story_format("status=401;error=invalid_api_key:auth_error:Incorrect%%20API%%20key%%0Aprovided:%%20%s", secret));
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_AUTHENTICATION);
    CHECK_CONTAINS(apertis_error_message(error), "Incorrect API key");
    CHECK(strstr(apertis_error_message(error), secret) == NULL);
    CHECK(strchr(apertis_error_message(error), '\n') == NULL);
    apertis_error_free(error);

    /* An error inside a 200 stream is an error. */
    {
        apertis_stream *stream = story_start(client, "say=some%20words%20first;deltas=3;error_after=2;error=overloaded:server_error:Too%20busy;header=x-request-id:req_78");
        CHECK(apertis_stream_wait(stream, -1, &response, &error) < 0);
        CHECK_CONTAINS(apertis_error_message(error), "Too busy");
        CHECK_TEXT(apertis_error_provider_code(error), "overloaded");
        CHECK_TEXT(apertis_error_request_id(error), "req_78");
        CHECK(response != NULL && strncmp(apertis_response_text(response, NULL), "some", 4) == 0);
        apertis_response_free(response);
        apertis_error_free(error);
        apertis_stream_free(stream);
    }
    apertis_client_free(client);
    return story_end();
}
