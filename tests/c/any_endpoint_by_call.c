/* What the library has no function for is reached by its path, with the client's key and retries. */
#include "story.h"

int main(void) {
    static const char question[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"raw\"}]}";
    apertis_client *client;
    apertis_config *config;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    const char *raw;
    size_t length = 0;

    story_begin();
    client = story_client_with("");
    CHECK_OK(apertis_client_call(client, "GET", "models", NULL, NULL, 0, &response, &error), error);
    raw = apertis_response_raw(response, &length);
    CHECK(raw != NULL && strlen(raw) == length);
    CHECK(story_json_count(story_json(raw, "data")) > 0);
    CHECK(story_json(raw, "data/0/id") != NULL);
    CHECK_CONTAINS(apertis_response_header(response, "content-type"), "application/json");
    CHECK(apertis_response_timing_us(response, APERTIS_TIMING_TOTAL) > 0);
    CHECK_TEXT(story_sent_about(0, "method"), "GET");
    CHECK_TEXT(story_sent_about(0, "path"), "/v1/models");
    CHECK_TEXT(story_sent_about(0, "headers/authorization"), "Bearer " STORY_KEY);
    apertis_response_free(response);
    apertis_client_free(client);

    story_next_key();
    config = story_config();
    CHECK_STATUS(apertis_config_set_max_retries(config, 2), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_header(config, "x-gateway", story_script("say=by%20hand;fail=503;retry_after_ms=1")), APERTIS_OK);
    client = story_client_of(config);
    CHECK_OK(apertis_client_call(client, "POST", "chat/completions", "application/json", question, sizeof question - 1, &response, &error), error);
    CHECK_TEXT(story_json(apertis_response_raw(response, NULL), "choices/0/message/content"), "by hand");
    CHECK_INT(apertis_response_attempts(response), 2);
    CHECK_INT(story_sent_count(), 2);
    CHECK_TEXT(story_sent_body(1), question);                   /* as it is, nothing added */
    CHECK_TEXT(story_sent_about(1, "headers/content-type"), "application/json");
    apertis_response_free(response);

    response = (apertis_response *)&response;
    CHECK_STATUS(apertis_client_call(client, "GET", "no/such/thing", NULL, NULL, 0, &response, &error), APERTIS_ERROR_NOT_FOUND);
    CHECK(response == NULL);
    CHECK_INT(apertis_error_http_status(error), 404);
    apertis_error_free(error);
    apertis_client_free(client);

    CHECK_INT(apertis_model_context_window("no-such-model-anywhere"), -1);
    CHECK_INT(apertis_model_context_window(NULL), -1);
    CHECK(apertis_model_context_window("gpt-4o") >= 100000);
    return story_end();
}
