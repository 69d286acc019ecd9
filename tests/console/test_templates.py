"""Templates: texts to send again."""

import pytest
from django.test import Client

from messaging.models import Template
from tests.console.conftest import House


def test_a_template_is_kept_with_its_versions(house: House, marketing: Client) -> None:
    marketing.post("/templates/new", {"name": "Welcome", "body": "Hi {{ first_name|there }}"})
    template = Template.objects.get()
    path = f"/templates/{template.public_id}/"
    marketing.post(path, {"name": "Welcome", "body": "Hello {{ first_name|there }}"})
    template.refresh_from_db()
    assert template.body == "Hello {{ first_name|there }}"
    assert [version.body for version in template.history.order_by("history_id")] == [
        "Hi {{ first_name|there }}",
        "Hello {{ first_name|there }}",
    ]
    assert "Hi {{ first_name|there }}" in marketing.get(path).content.decode()


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"name": "", "body": "Hi"}, "Give the template a name."),
        ({"name": "n" * 81, "body": "Hi"}, "Shorten the name to 80 characters."),
        ({"name": "welcome", "body": "Hi"}, "A template has this name already."),
        ({"name": "New", "body": ""}, "Write the text."),
        ({"name": "New", "body": "Hi {{ nickname }}"}, "There is no field “nickname”."),
        ({"name": "New", "body": "x" * 1601}, "Shorten the text"),
        ({"name": "New", "body": "a\x00b"}, "Null characters are not allowed"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_wrong_is_said_beside_its_field_and_kept(
    house: House, marketing: Client, form: dict[str, str], sentence: str
) -> None:
    Template.objects.create(name="Welcome", body="Hi")
    answer = marketing.post("/templates/new", form)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert sentence in page
    assert form["name"] in page
    assert Template.objects.count() == 1


def test_an_archived_template_is_offered_no_more(house: House, marketing: Client) -> None:
    template = Template.objects.create(name="Old words", body="Hi")
    marketing.post(f"/templates/{template.public_id}/archive")
    marketing.get("/templates/")  # says once that it is archived
    assert "Old words" not in marketing.get("/compose/").content.decode()
    form = house.form(template=template.public_id, body="")
    answer = marketing.post("/compose/", form)
    assert "There is no such template." in answer.content.decode()


def test_a_template_that_was_chosen_without_script_is_the_text(
    house: House, marketing: Client
) -> None:
    template = Template.objects.create(name="Welcome", body="Hello from the template")
    page = marketing.post(
        "/compose/", house.form(template=template.public_id, body=""), follow=True
    ).content.decode()
    assert "Hello from the template" in page
