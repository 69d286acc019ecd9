"""Half of each page of the messages stays free, so that a message's updates stay inside its page."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("messaging", "0002_segments")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE messaging_message SET (fillfactor = 50)",
            "ALTER TABLE messaging_message RESET (fillfactor)",
        )
    ]
