"""Delivery: sends the outbox's messages to mailboxes, chats and webhooks.

=============  ==================================================================
``addresses``  the address of a channel, without leaking its secrets
``messages``   the content of a message: subject, text, HTML
``pictures``   the history of an alert's metric, as a PNG
``mail``       mails in threads, over SMTP
``hooks``      every other channel, through Apprise
``sending``    empties the outbox: claim, send, record, and retry later
=============  ==================================================================

Nothing here decides whether there is an alert. Addresses contain passwords: they are never logged, shown or raised.
"""
