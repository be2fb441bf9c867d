/* One game server, many players: each request goes out with its own key and headers, over the client's. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_config *config;
    apertis_request *request, *clone;
    apertis_error *error = NULL;

    story_begin();
    config = story_config();
    CHECK_STATUS(apertis_config_set_header(config, "X-Game", "chess"), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_header(config, "X-Level", "1"), APERTIS_OK);
    client = story_client_of(config);

    request = story_request("say=Hi", "Hello");
    CHECK_OK(apertis_client_chat(client, request, NULL, &error), error);
    clone = apertis_request_clone(request);
    CHECK(clone != NULL && clone != request);
    CHECK_STATUS(apertis_request_set_api_key(clone, "sk-player-7"), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_header(clone, "x-level", "2"), APERTIS_OK);        /* names know no case */
    CHECK_STATUS(apertis_request_set_header(clone, "X-Seat", "white"), APERTIS_OK);
    CHECK_OK(apertis_client_chat(client, clone, NULL, &error), error);
    CHECK_OK(apertis_client_chat(client, request, NULL, &error), error);
    apertis_request_free(clone);
    apertis_request_free(request);
    apertis_client_free(client);

    CHECK_INT(story_sent_count(), 3);
    CHECK_TEXT(story_sent_about(0, "headers/authorization"), "Bearer " STORY_KEY);
    CHECK_TEXT(story_sent_about(0, "headers/x-game"), "chess");
    CHECK_TEXT(story_sent_about(0, "headers/x-level"), "1");
    CHECK(story_sent_about(0, "headers/x-seat") == NULL);
    CHECK_CONTAINS(story_sent_about(0, "headers/user-agent"), "libapertis/");
    CHECK_CONTAINS(story_sent_about(0, "headers/user-agent"), apertis_version_string());
    CHECK_TEXT(story_sent_about(1, "headers/authorization"), "Bearer sk-player-7");
    CHECK_TEXT(story_sent_about(1, "headers/x-game"), "chess");
    CHECK_TEXT(story_sent_about(1, "headers/x-level"), "2");
    CHECK_TEXT(story_sent_about(1, "headers/x-seat"), "white");
    CHECK_TEXT(story_sent_about(2, "headers/authorization"), "Bearer " STORY_KEY);      /* the clone's changes stayed its own */
    CHECK_TEXT(story_sent_about(2, "headers/x-level"), "1");

    story_next_key();
    config = story_config();
    CHECK_STATUS(apertis_config_set_user_agent(config, "Chess/3.1"), APERTIS_OK);
    client = story_client_of(config);
    apertis_response_free(story_chat(client, "say=Hi"));
    CHECK_TEXT(story_sent_about(0, "headers/user-agent"), "Chess/3.1");

    /* The config was copied: later changes are not the client's. */
    story_next_key();
    apertis_client_free(client);
    config = story_config();
    CHECK_STATUS(apertis_client_new(config, &client, NULL), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_api_key(config, "sk-later"), APERTIS_OK);
    apertis_response_free(story_chat(client, "say=Hi"));
    CHECK_TEXT(story_sent_about(0, "headers/authorization"), "Bearer " STORY_KEY);
    apertis_config_free(config);
    apertis_client_free(client);
    return story_end();
}
