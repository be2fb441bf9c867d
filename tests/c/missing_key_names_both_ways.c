/* Without a key the client is not made, and the message says both ways to give one. */
#include "story.h"

int main(void) {
    apertis_client *client = (apertis_client *)&client;
    apertis_config *config;
    apertis_error *error = NULL;

    story_begin();
    unsetenv("APERTIS_API_KEY");
    unsetenv("APERTIS_API_BASE");
    CHECK_STATUS(apertis_client_new(NULL, &client, &error), APERTIS_ERROR_MISSING_API_KEY);
    CHECK(client == NULL);
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_MISSING_API_KEY);
    CHECK_CONTAINS(apertis_error_message(error), "APERTIS_API_KEY");
    CHECK_CONTAINS(apertis_error_message(error), "apertis_config_set_api_key");
    CHECK(strchr(apertis_error_message(error), '\n') == NULL);
    CHECK_INT(apertis_error_http_status(error), 0);
    CHECK_INT(apertis_error_is_retryable(error), 0);
    apertis_error_free(error);
    CHECK_STATUS(apertis_client_new(NULL, &client, NULL), APERTIS_ERROR_MISSING_API_KEY);

    CHECK(setenv("APERTIS_API_KEY", "", 1) == 0);                       /* empty is missing */
    CHECK_STATUS(apertis_client_new(NULL, &client, NULL), APERTIS_ERROR_MISSING_API_KEY);
    unsetenv("APERTIS_API_KEY");

    /* "" means none, for a base of one's own; and then nothing is sent in its place. */
    config = story_config();
    CHECK_STATUS(apertis_config_set_api_key(config, ""), APERTIS_OK);
    client = story_client_of(config);
    apertis_response_free(story_chat(client, "say=Hi"));
    CHECK(story_sent_about(0, "headers") != NULL);
    CHECK(story_sent_about(0, "headers/authorization") == NULL);
    apertis_client_free(client);

    /* For the default base it is missing still. */
    config = apertis_config_new();
    CHECK_STATUS(apertis_config_set_api_key(config, ""), APERTIS_OK);
    CHECK_STATUS(apertis_client_new(config, &client, NULL), APERTIS_ERROR_MISSING_API_KEY);
    CHECK(client == NULL);
    apertis_config_free(config);
    return story_end();
}
