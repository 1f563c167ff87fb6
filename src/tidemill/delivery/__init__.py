"""The delivery room: what the outbox holds goes to mailboxes, chats and webhooks.

=============  ==================================================================
``addresses``  where a channel leads, and how its secrets are kept out of sight
``messages``   what a message says: subject, text, HTML
``pictures``   the course of an alert's figure, as a PNG
``mail``       mails in threads, over SMTP
``hooks``      everything else, through Apprise
``sending``    the outbox emptied: claim, send, record; again later what failed
=============  ==================================================================

Nothing here decides whether there is an alert. Addresses hold passwords: they are never logged, shown or raised.
"""
