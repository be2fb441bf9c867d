/* What set_json says is sent last and as it stands: it overrides our fields, adds unknown ones, and NULL removes. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_request *request;
    apertis_response *response = NULL;
    apertis_error *error = NULL;

    story_begin();
    client = story_client();
    request = story_request("say=Hi", "Hello");
    CHECK_STATUS(apertis_request_set_model(request, "gpt-4o-mini"), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_temperature(request, 0.5), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_json(request, "temperature", "1.10"), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_json(request, "max_tokens", NULL), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_json(request, "reasoning", "{ \"effort\": \"high\", \"big\": 12345678901234567890123 }"), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_json(request, "user", "\"first\""), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_json(request, "user", "\"second \\u00e9\""), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_json(request, "nothing", "null"), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_json(request, "never_set", NULL), APERTIS_OK);
    CHECK_OK(apertis_client_chat(client, request, &response, &error), error);
    apertis_response_free(response);
    CHECK_TEXT(story_sent(0, "temperature"), "1.10");           /* as it stands, not 1.1 */
    CHECK(story_sent(0, "max_tokens") == NULL);
    CHECK_TEXT(story_sent(0, "reasoning/effort"), "high");
    CHECK_TEXT(story_sent(0, "reasoning/big"), "12345678901234567890123");
    CHECK_TEXT(story_sent(0, "user"), "second \xC3\xA9");
    CHECK_TEXT(story_sent(0, "nothing"), "null");
    CHECK(story_sent(0, "never_set") == NULL);
    CHECK_INT(story_occurrences(story_sent_body(0), "\"temperature\":"), 1);
    CHECK_INT(story_occurrences(story_sent_body(0), "\"user\":"), 1);

    /* A mistake is told at once, and leaves what was set. */
    CHECK_STATUS(apertis_request_set_json(request, "user", "{\"a\":"), APERTIS_ERROR_INVALID_JSON);
    CHECK_STATUS(apertis_request_set_json(request, "user", ""), APERTIS_ERROR_INVALID_JSON);
    CHECK_STATUS(apertis_request_set_json(request, "user", "1 2"), APERTIS_ERROR_INVALID_JSON);
    CHECK_STATUS(apertis_request_set_json(request, NULL, "1"), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_OK(apertis_client_chat(client, request, NULL, &error), error);
    CHECK_TEXT(story_sent(1, "user"), "second \xC3\xA9");

    /* Even the messages. */
    CHECK_STATUS(apertis_request_set_json(request, "messages", "[{\"role\":\"user\",\"content\":\"mine\"}]"), APERTIS_OK);
    CHECK_OK(apertis_client_chat(client, request, NULL, &error), error);
    CHECK_TEXT(story_sent(2, "messages"), "[{\"role\":\"user\",\"content\":\"mine\"}]");
    apertis_request_free(request);
    apertis_client_free(client);
    return story_end();
}
