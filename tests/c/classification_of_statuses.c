/* Each refusal of a provider becomes the status that says what to do about it; by HTTP status first, then by code. */
#include "story.h"

static const struct { const char *script; int32_t status; int retryable; } cases[] = {
    { "status=400;error=invalid_request:invalid_request_error:Bad", APERTIS_ERROR_BAD_REQUEST, 0 },
    { "status=401;error=invalid_api_key:invalid_request_error:Bad%20key", APERTIS_ERROR_AUTHENTICATION, 0 },
    { "status=402;error=quota_exceeded:billing_error:Pay", APERTIS_ERROR_QUOTA, 0 },
    { "status=403;error=model_access_denied:permission_error:No", APERTIS_ERROR_PERMISSION, 0 },
    { "status=404;error=model_not_found:invalid_request_error:Which", APERTIS_ERROR_NOT_FOUND, 0 },
    { "status=422;error=invalid_parameter:invalid_request_error:Odd", APERTIS_ERROR_BAD_REQUEST, 0 },
    { "status=429;error=rate_limit_exceeded:rate_limit_error:Slow", APERTIS_ERROR_RATE_LIMITED, 1 },
    { "status=429;error=insufficient_quota:insufficient_quota:Pay", APERTIS_ERROR_QUOTA, 0 },
    { "status=400;error=bad_response:upstream_error:Insufficient%20balance%20on%20this%20account", APERTIS_ERROR_QUOTA, 0 },
    { "status=400;error=context_length_exceeded:invalid_request_error:Too%20long", APERTIS_ERROR_CONTEXT_LENGTH, 0 },
    { "status=400;error=:invalid_request_error:prompt%20is%20too%20long%3A%20210000%20tokens%20%3E%20200000%20maximum", APERTIS_ERROR_CONTEXT_LENGTH, 0 },
    { "status=400;error=content_policy_violation:content_policy_error:No", APERTIS_ERROR_CONTENT_FILTER, 0 },
    { "status=500;error=internal_error:server_error:Oops", APERTIS_ERROR_SERVER, 1 },
    { "status=502;content_type=text/html;body=%3Chtml%3EBad%20gateway%3C/html%3E", APERTIS_ERROR_SERVER, 1 },
    { "status=503;error=model_overloaded:server_error:Busy", APERTIS_ERROR_OVERLOADED, 1 },
    { "status=529;error=overloaded:overloaded_error:Busy", APERTIS_ERROR_OVERLOADED, 1 },
    { "status=408;error=request_timeout:timeout:Late", APERTIS_ERROR_TIMED_OUT, 1 },
};

int main(void) {
    apertis_client *client;
    apertis_error *error;
    size_t index;
    int streamed;

    story_begin();
    client = story_client();
    for (index = 0; index < sizeof cases / sizeof *cases; index++) {
        for (streamed = 0; streamed < 2; streamed++) {
            if (streamed) {
                apertis_stream *stream = story_start(client, cases[index].script);
                apertis_response *response = NULL;
                error = NULL;
                CHECK(apertis_stream_wait(stream, -1, &response, &error) < 0);
                CHECK(response == NULL);
                apertis_stream_free(stream);
            } else {
                error = story_chat_fails(client, cases[index].script);
            }
            if (apertis_error_status(error) != cases[index].status || apertis_error_is_retryable(error) != cases[index].retryable)
                story_fail(__FILE__, __LINE__, "%s: saw %s, retryable %d", cases[index].script, apertis_status_name(apertis_error_status(error)), (int)apertis_error_is_retryable(error));
            CHECK_INT(apertis_error_http_status(error), atoi(cases[index].script + 7));
            apertis_error_free(error);
        }
    }
    /* The CDN in front dislikes a user agent: the message says what to do. */
    error = story_chat_fails(client, "status=403;content_type=text/plain;body=error%20code%3A%201010");
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_PERMISSION);
    CHECK_CONTAINS(apertis_error_message(error), "user agent");
    apertis_error_free(error);

    /* An error in the body of a 200, and an answer that is none. */
    error = story_chat_fails(client, story_format("content_type=application/json;body=%s", story_encode("{\"error\":{\"message\":\"No such model\",\"type\":\"invalid_request_error\",\"code\":\"model_not_found\"}}")));
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_NOT_FOUND);
    apertis_error_free(error);
    error = story_chat_fails(client, "content_type=application/json;body=%7B%22hello%22%3A1%7D");
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_PROTOCOL);
    apertis_error_free(error);
    error = story_chat_fails(client, "content_type=text/html;body=%3Chtml%3ELog%20in%20first%3C/html%3E");
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_PROTOCOL);
    apertis_error_free(error);
    apertis_client_free(client);

    CHECK_TEXT(apertis_status_name(APERTIS_OK), "APERTIS_OK");
    CHECK_TEXT(apertis_status_name(APERTIS_ERROR_QUOTA), "APERTIS_ERROR_QUOTA");
    CHECK(apertis_status_name(12345) != NULL && apertis_status_name(INT32_MIN) != NULL);
    return story_end();
}
