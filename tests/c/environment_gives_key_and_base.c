/* Without a config, key and base come from the environment, once, when the client is made; a config comes first. */
#include "story.h"

int main(void) {
    apertis_client *client = NULL;
    apertis_config *config;
    apertis_error *error = NULL;

    story_begin();
    CHECK(setenv("APERTIS_API_KEY", " sk-from-env\n", 1) == 0);         /* as a shell may leave it */
    CHECK(setenv("APERTIS_API_BASE", story_base(), 1) == 0);
    CHECK_OK(apertis_client_new(NULL, &client, &error), error);
    CHECK(setenv("APERTIS_API_KEY", "sk-too-late", 1) == 0);
    CHECK(setenv("APERTIS_API_BASE", "http://127.0.0.1:1/v1", 1) == 0);
    apertis_response_free(story_chat(client, "say=Hi"));
    CHECK_TEXT(story_sent_about(0, "headers/authorization"), "Bearer sk-from-env");
    apertis_client_free(client);

    story_next_key();
    client = story_client();                                            /* its config has both */
    apertis_response_free(story_chat(client, "say=Hi"));
    CHECK_TEXT(story_sent_about(0, "headers/authorization"), "Bearer " STORY_KEY);
    apertis_client_free(client);

    /* An empty config is like none; what it lacks comes from the environment. */
    story_next_key();
    CHECK(setenv("APERTIS_API_BASE", story_format("http://127.0.0.1:%d/", story_port()), 1) == 0);
    config = apertis_config_new();
    client = story_client_of(config);
    apertis_response_free(story_chat(client, "say=Hi"));
    CHECK_TEXT(story_sent_about(0, "headers/authorization"), "Bearer sk-too-late");
    CHECK_TEXT(story_sent_about(0, "path"), "/v1/chat/completions");
    apertis_client_free(client);

    /* A base that is none is an error of the caller's, not a crash. */
    CHECK(setenv("APERTIS_API_BASE", "nonsense", 1) == 0);
    CHECK_STATUS(apertis_client_new(NULL, &client, &error), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK(client == NULL);
    CHECK_CONTAINS(apertis_error_message(error), "APERTIS_API_BASE");
    apertis_error_free(error);
    return story_end();
}
