from django.contrib.auth.views import LogoutView
from django.urls import path

from console.views import (
    conversations,
    dashboard,
    fallbacks,
    groups,
    sends,
    sign_in,
    subscribers,
    templates,
    writing,
)
from console.views.glossary import glossary

app_name = "console"

# The first word of a name is the section of the navigation that it lights up.
urlpatterns = [
    path("login/", sign_in.SignIn.as_view(), name="sign-in"),
    path("logout/", LogoutView.as_view(next_page="/login/"), name="sign-out"),
    path("", dashboard.dashboard, name="dashboard"),
    path("glossary/", glossary, name="glossary"),
    path("compose/", writing.compose_send, name="compose"),
    path("compose/forecast", writing.live_forecast, name="compose-forecast"),
    path("sends/", sends.sends, name="sends"),
    path("sends/<int:public_id>/", sends.send_page, name="sends-one"),
    path("sends/<int:public_id>/progress", sends.progress, name="sends-progress"),
    path("sends/<int:public_id>/start", sends.start, name="sends-start"),
    path("sends/<int:public_id>/pause", sends.pause, name="sends-pause"),
    path("sends/<int:public_id>/resume", sends.resume, name="sends-resume"),
    path("sends/<int:public_id>/cancel", sends.cancel, name="sends-cancel"),
    path("templates/", templates.templates, name="templates"),
    path("templates/new", templates.new, name="templates-new"),
    path("templates/<int:public_id>/", templates.edit, name="templates-one"),
    path("templates/<int:public_id>/archive", templates.archive, name="templates-archive"),
    path("conversations/", conversations.inbox, name="conversations"),
    path("conversations/list", conversations.inbox_list, name="conversations-list"),
    path("conversations/<int:public_id>/", conversations.conversation, name="conversations-one"),
    path("conversations/<int:public_id>/news", conversations.news, name="conversations-news"),
    path("conversations/<int:public_id>/reply", conversations.reply, name="conversations-reply"),
    path("conversations/<int:public_id>/read", conversations.read, name="conversations-read"),
    path("conversations/<int:public_id>/typing", conversations.typing, name="conversations-typing"),
    path(
        "conversations/<int:public_id>/tapback", conversations.tapback, name="conversations-tapback"
    ),
    path("fallbacks/", fallbacks.fallbacks, name="fallbacks"),
    path("fallbacks/<int:public_id>/", fallbacks.story, name="fallbacks-one"),
    path("fallbacks/<int:public_id>/by-sms", fallbacks.by_sms, name="fallbacks-by-sms"),
    path("subscribers/", subscribers.subscribers, name="subscribers"),
    path("subscribers/<int:public_id>/", subscribers.subscriber, name="subscribers-one"),
    path("subscribers/<int:public_id>/opt-out", subscribers.opt_out, name="subscribers-opt-out"),
    path("groups/", groups.groups, name="groups"),
    path("groups/<int:public_id>/", groups.group, name="groups-one"),
]
