"""Returned mails in free text, written for these tests: one for each form in which mail programs are "
"known to speak."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One mail and what it says."""

    name: str
    sender: str
    subject: str
    body: str
    address: str | None = "guest@hotel.example"
    category: str | None = None
    fields: str = ""

    @property
    def raw(self) -> bytes:
        """The mail as it would arrive."""
        head = f"From: {self.sender}\nTo: bounce+token@relay.example\nSubject: {self.subject}\n{self.fields}"
        kind = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
        return f"{head}{kind}\n{self.body}".encode().replace(b"\n", b"\r\n")


RETURNED = """
Received: from app.relay.example by mx.hotel.example; Mon, 2 Mar 2026 10:00:00 +0000
Return-Path: <bounce+token@relay.example>
Message-ID: <booking-1@relay.example>
From: Hotel <desk@relay.example>
To: Somebody Else <other@elsewhere.example>
Subject: Your booking

Write to help@relay.example
"""

DAEMON = "Mail Delivery Subsystem <MAILER-DAEMON@mx.hotel.example>"
POSTMASTER = "postmaster@mx.hotel.example"

BOUNCES = [
    Sample(
        name="domino",
        sender="Postmaster@hotel.example",
        subject="DELIVERY FAILURE: User guest not listed in Domino Directory",
        body="Your message\n\n  Subject: Your booking\n\nwas not delivered to:\n\n  guest@hotel.example\n"
        "\nbecause:\n\n"
        "  User guest (guest@hotel.example) not listed in Domino Directory\n",
        category="invalid_address",
    ),
    Sample(
        name="notes, the reason first",
        sender="Notes Mail Router <MAILER@hotel.example>",
        subject="DELIVERY FAILURE",
        body="------- Failure Reasons  --------\n\nUser not listed in public Name & Address Book\n"
        "guest@hotel.example\n\n"
        f"------- Returned Message --------\n{RETURNED}",
        category="invalid_address",
    ),
    Sample(
        name="gmx",
        sender="GMX Mailer Daemon <mailer-daemon@gmx.example>",
        subject="Mail delivery failed: returning message to sender",
        body="This message was created automatically by mail delivery software.\n\nA message that you "
        "sent could not be "
        "delivered to one or more of\nits recipients. This is a permanent error. The following address\nfailed:\n\n"
        '"guest@hotel.example":\nSMTP error from remote server after RCPT command:\nhost: mx.hotel.example\n'
        "5.1.1 <guest@hotel.example>... User Unknown\n\n\n--- The header of the original message is "
        f"following. ---\n{RETURNED}",
        category="invalid_address",
    ),
    Sample(
        name="1&1",
        sender="Mail Delivery System <mailer-daemon@kundenserver.example>",
        subject="Mail delivery failed: returning message to sender",
        body="This message was created automatically by mail delivery software.\n\nA message that you "
        "sent could not be "
        "delivered to\none or more of its recipients. The following addresses failed:\n\n<guest@hotel.example>\n"
        "SMTP error from remote server after transfer of mail text:\nhost: mx.hotel.example\n"
        "552 5.2.2 Mailbox size limit exceeded\n\n--- The header of the original message is following. ---\n"
        + RETURNED,
        category="mailbox_full",
    ),
    Sample(
        name="web.de in German",
        sender="Mailer Daemon <mailer-daemon@web.example>",
        subject="Mail delivery failed",
        body="Diese Nachricht wurde automatisch erzeugt.\n\nIhre E-Mail konnte nicht an alle Empfänger "
        "zugestellt werden.\n"
        "Folgende Empfänger haben die Nachricht nicht erhalten:\n\nguest@hotel.example:\n\nGrund: "
        "Benutzer unbekannt\n",
        category="invalid_address",
    ),
    Sample(
        name="interscan",
        sender="MAILER-DAEMON@scan.hotel.example",
        subject="Mail could not be delivered",
        body="******* Message from InterScan Messaging Security Suite *******\n\nSent >>> RCPT "
        "TO:<guest@hotel.example>\n"
        "Received <<< 550 5.1.1 <guest@hotel.example>... user unknown\n\n"
        "Unable to deliver message to <guest@hotel.example>.\n\n************ End of message **********\n",
        category="invalid_address",
    ),
    Sample(
        name="mcafee",
        sender="Mail Administrator <Postmaster@gate.hotel.example>",
        subject="Mail System Error - Returned Mail",
        body="--- The following addresses had delivery problems ---\n\n<guest@hotel.example>   (User "
        "unknown guest@hotel.example)\n"
        f"\n--------------Returned Mail--------------\n{RETURNED}",
        category="invalid_address",
    ),
    Sample(
        name="courier",
        sender='"Courier mail server at hotel.example" <@hotel.example>',
        subject="NOTICE: mail delivery status.",
        body="This is a delivery status notification from hotel.example,\nrunning the Courier mail "
        "server, version 0.65.2.\n\n"
        "The original message was received on Sat, 11 Dec 2010 12:19:57 +0900\nfrom [192.0.2.1]\n\n"
        f"{'-' * 75}\n\n                           UNDELIVERABLE MAIL\n\n"
        "Your message to the following recipients cannot be delivered:\n\n<guest@hotel.example>:\n    "
        "mx.hotel.example [192.0.2.9]:\n"
        ">>> RCPT TO:<guest@hotel.example>\n<<< 550 5.1.1 <guest@hotel.example>... User Unknown\n\n"
        f"{'-' * 75}\n\nIf your message was also sent to additional recipients, their delivery\nstatus is "
        "not included.\n",
        category="invalid_address",
    ),
    Sample(
        name="m-filter",
        sender="Mailer-Daemon@filter.hotel.example",
        subject="failure notice",
        body="guest@hotel.example\n\n-------server message\n550 5.1.1 unknown user <guest@hotel.example>\n\n"
        f"-------original message\n{RETURNED}",
        category="invalid_address",
    ),
    Sample(
        name="an account that is not there",
        sender="MAILER-DAEMON@hotel.example",
        subject="Delivery failure",
        body="Message from hotel.example.\nUnable to deliver message to the following address(es).\n\n"
        "<guest@hotel.example>:\n"
        "This user doesn't have a hotel.example account (guest@hotel.example) [0]\n\n--- Original message follows.\n"
        + RETURNED,
        category="invalid_address",
    ),
    Sample(
        name="bulleted list",
        sender="Mail Delivery System <Mail.Delivery.System@hotel.example>",
        subject="Delivery status notification",
        body=f"{'=' * 60}\n   This is an automatically generated Delivery Status Notification.\n\n"
        "Delivery to the following recipients failed permanently:\n\n   * guest@hotel.example\n\n"
        f"{'=' * 60}\n                    Technical details:\n\nSMTP:RCPT host 192.0.2.8: 553 5.3.0 "
        "<guest@hotel.example>... No such user here\n"
        f"\n{'=' * 60}\n",
        category="invalid_address",
    ),
    Sample(
        name="old sendmail",
        sender=DAEMON,
        subject="Returned mail: User unknown",
        body="   ----- Transcript of session follows -----\nWhile talking to mx.hotel.example:\n>>> RCPT "
        "To:<guest@hotel.example>\n"
        "<<< 550 <guest@hotel.example>, User Unknown\n550 <guest@hotel.example>... User unknown\n\n"
        f"   ----- Unsent message follows -----\n{RETURNED}",
        category="invalid_address",
    ),
    Sample(
        name="biglobe",
        sender=DAEMON,
        subject="Returned mail: see transcript for details",
        body="   ----- The following addresses had delivery problems -----\nguest@hotel.example\n\n"
        "   ----- Non-delivered information -----\nThe number of messages in recipient's mailbox exceeded "
        "the local limit.\n",
        category="mailbox_full",
    ),
    Sample(
        name="ezweb",
        sender="Postmaster@hotel.example",
        subject="Mail System Error - Returned Mail",
        body="This Message was undeliverable due to the following reason:\n\nEach of the following "
        "recipients was rejected by a "
        "remote mail server.\nThe reasons given by the server are included to help you determine why\n"
        "each recipient was rejected.\n\n"
        "    Recipient: <guest@hotel.example>\n    >>> RCPT TO:<guest@hotel.example>\n"
        "    <<< 550 <guest@hotel.example>: User unknown\n\nPlease reply to Postmaster@hotel.example\n",
        category="invalid_address",
    ),
    Sample(
        name="post.office over quota",
        sender="Postmaster@hotel.example",
        subject="Mail System Error - Returned Mail",
        body="This Message was undeliverable due to the following reason:\n\nThe user(s) account is "
        "temporarily over quota.\n\n"
        "<guest@hotel.example>\n\nPlease reply to Postmaster@hotel.example\nif you feel this message to "
        "be in error.\n",
        category="mailbox_full",
    ),
    Sample(
        name="kddi",
        sender="Mail Delivery System <no-reply@app.hotel.example>",
        subject="Failed delivery",
        body="Your mail sent on: Thu, 29 Apr 2010 11:04:47 +0900\n    Could not be delivered to: "
        "<guest@hotel.example>\n"
        "    As their mailbox is full.\n",
        category="mailbox_full",
    ),
    Sample(
        name="mailfoundry",
        sender="MAILER-DAEMON@gate.hotel.example (Mail Delivery System)",
        subject="Message delivery has failed",
        body="Unable to deliver message to: <guest@hotel.example>\nDelivery failed for the following reason:\n"
        "Server mx.hotel.example[192.0.2.22] failed with: 550 <guest@hotel.example> No such user here\n\n"
        "This has been a permanent failure.  No further delivery attempts will be made.\n",
        category="invalid_address",
    ),
    Sample(
        name="sun messaging server, in text alone",
        sender="Internet Mail Delivery <postmaster@hotel.example>",
        subject="Delivery Notification: Delivery has failed",
        body="This report relates to a message you sent with the following header fields:\n\n"
        "  Return-path: <bounce+token@relay.example>\n  Message-id: <booking-1@relay.example>\n  Date: "
        "Mon, 2 Mar 2026 10:00:00 +0000\n"
        "  From: Hotel <desk@relay.example>\n  To: other@elsewhere.example\n  Subject: Your booking\n\n"
        "Your message cannot be delivered to the following recipients:\n\n  Recipient address: guest@hotel.example\n"
        "  Reason: Remote SMTP server has rejected address\n  Diagnostic code: smtp;550 5.1.1 User unknown\n",
        category="invalid_address",
    ),
    Sample(
        name="sendgrid",
        sender="MAILER-DAEMON@mx.hotel.example",
        subject="Undelivered Mail Returned to Sender",
        body="This is an automatically generated message from the mail system.\n\nI'm sorry to have to "
        "tell you that your message "
        "was not able to be delivered to one of its intended recipients.\n\nIf you require assistance "
        "with this, please contact "
        "support@mx.hotel.example.\n\nguest@hotel.example\n\n550 unknown recipient\n",
        category="invalid_address",
    ),
    Sample(
        name="zoho",
        sender="mailer-daemon@mail.hotel.example",
        subject="Undelivered Mail Returned to Sender",
        body="This message was created automatically by mail delivery software.\n A message that you sent "
        "could not be delivered to "
        "one or more of its recipients. This is a permanent error.\n\nguest@hotel.example Invalid "
        "Address, ERROR_CODE :550, "
        "ERROR_CODE :5.1.1 <guest@hotel.example>... User Unknown\n\nReceived:from app.relay.example by "
        "mx; Mon, 2 Mar 2026\n",
        category="invalid_address",
    ),
    Sample(
        name="smail",
        sender=DAEMON,
        subject="mail failed, returning to sender",
        body="|------------------------- Message log follows: -------------------------|\n no valid "
        "recipients were found for this "
        "message\n|------------------------- Failed addresses follow: ---------------------|\n"
        " <guest@hotel.example> ... unknown host\n"
        f"|------------------------- Message text follows: ------------------------|\n{RETURNED}",
        category="invalid_domain",
    ),
    Sample(
        name="mercury",
        sender="Electronic Postmaster <postmaster@hotel.example>",
        subject="Postmaster notify: delivery failure.",
        body="The local mail transport system has reported the following problems\nit encountered while "
        "trying to deliver your "
        "message:\n\n-------------------------------------------------------\n*** guest@hotel.example\n"
        "User not known at this site.\n"
        "-------------------------------------------------------\n\nYour mail message is being returned "
        f"to you in full.\n{RETURNED}",
        category="invalid_address",
    ),
    Sample(
        name="mdaemon",
        sender="Postmaster@hotel.example",
        subject="Permanent Delivery Failure",
        body="The attached message had PERMANENT fatal delivery errors!\n\nAfter one or more unsuccessful "
        "delivery attempts the "
        "attached message has\nbeen removed from the mail queue on this server.\n\nFailed address: "
        "guest@hotel.example\n\n"
        "--- Session Transcript ---\n Mon 2010-06-29: Attempting SMTP connection to [mx.hotel.example:25]\n"
        " Mon 2010-06-29: --> RCPT To:<guest@hotel.example>\n Mon 2010-06-29: <-- 550 5.1.1 "
        "<guest@hotel.example>... User unknown\n"
        " Mon 2010-06-29: --> QUIT\n--- End Transcript ---\n",
        category="invalid_address",
    ),
    Sample(
        name="mmdf",
        sender="Memo Service (MMDF) <mmdf@hotel.example>",
        subject="Failed mail  (msg.aa12345)",
        body="    Your message could not be delivered to\n'guest@hotel.example (host: hotel.example) "
        "(queue: smtp)' for the following\n"
        "reason:  ' <guest@hotel.example>... User unknown'\n\n    Your message begins as follows:\n" + RETURNED,
        category="invalid_address",
    ),
    Sample(
        name="groupwise",
        sender="Mailer-Daemon@hotel.example",
        subject="Message status - undeliverable",
        body="The message that you sent was undeliverable to the following:\n\tguest@hotel.example "
        "(mailbox is full)\n\n"
        "Possibly truncated original message follows:\n" + RETURNED,
        category="mailbox_full",
    ),
    Sample(
        name="hotpop",
        sender="HotPOP Postmaster <postmaster@hotel.example>",
        subject="Undeliverable Mail",
        body="A message sent by you could not be delivered.\n\nUndeliverable Address: guest@hotel.example\n"
        f"Reason: mailbox over quota\n\nOriginal message follows.\n{RETURNED}",
        category="mailbox_full",
    ),
    Sample(
        name="old microsoft smtp service",
        sender=POSTMASTER,
        subject="Nondeliverable mail",
        body="--------Error details--------\nThe email below could not be delivered to the following "
        "user:\n\nguest@hotel.example\n\n"
        f"Old message:\n{RETURNED}",
    ),
    Sample(
        name="exchange in German",
        sender="Systemadministrator <postmaster@hotel.example>",
        subject="Unzustellbar: Ihre Buchung",
        body="Ihre Nachricht hat einige oder alle Empfänger nicht erreicht.\n\n      Betreff:\tIhre Buchung\n"
        "      Gesendet am:\t29.04.2010 10:00\n\nFolgende(r) Empfänger konnte(n) nicht erreicht werden:\n\n"
        "      'guest@hotel.example' am 29.04.2010 10:00\n            Das E-Mail-Konto ist in der "
        "Organisation, an die diese Nachricht "
        "gesendet wurde, nicht vorhanden.\n            <mx.hotel.example #5.1.1>\n",
        category="invalid_address",
    ),
    Sample(
        name="exchange in French",
        sender="Administrateur système <postmaster@hotel.example>",
        subject="Non remis : votre réservation",
        body="Votre message n'est pas parvenu à certains ou à tous les destinataires prévus.\n\n      "
        "Objet : réservation\n"
        "      Date : 29/04/2010 10:00\n\nImpossible d'atteindre le(s) destinataire(s) suivant(s) :\n\n"
        "      guest@hotel.example le 29/04/2010 10:00\n            Le compte de messagerie n'existe pas "
        "dans l'organisation.\n",
        category="invalid_address",
    ),
    Sample(
        name="exchange in Spanish",
        sender="Administrador del sistema <postmaster@hotel.example>",
        subject="No se puede entregar: su reserva",
        body="El mensaje no llegó a algunos o todos los destinatarios.\n\n      Asunto: reserva\n      "
        "Enviado: 29/04/2010\n\n"
        "No se puede encontrar a los destinatarios siguientes:\n\n      guest@hotel.example el 29/04/2010 10:00\n"
        "            La cuenta de correo no existe en la organización a la que se envió este mensaje.\n",
        category="invalid_address",
    ),
    Sample(
        name="exchange in Italian",
        sender="Amministratore di sistema <postmaster@hotel.example>",
        subject="Recapito non riuscito: prenotazione",
        body="Impossibile recapitare il messaggio ad alcuni o a tutti i destinatari.\n\n      Oggetto: "
        "prenotazione\n\n"
        "Non è possibile raggiungere i seguenti destinatari:\n\n      guest@hotel.example in data 29/04/2010 10:00\n"
        "            L'account di posta elettronica non esiste presso l'organizzazione.\n",
        category="invalid_address",
    ),
    Sample(
        name="exchange in Dutch",
        sender="Systeembeheerder <postmaster@hotel.example>",
        subject="Onbestelbaar: uw boeking",
        body="Uw bericht is niet aangekomen bij enkele of alle geadresseerden.\n\n      Onderwerp: boeking\n\n"
        "De volgende geadresseerden zijn niet bereikt:\n\n      guest@hotel.example op 29-4-2010 10:00\n"
        "            Het e-mailaccount bestaat niet bij de organisatie waarnaar dit bericht is verzonden.\n",
        category="invalid_address",
    ),
    Sample(
        name="exchange in Portuguese",
        sender="Administrador do sistema <postmaster@hotel.example>",
        subject="Não foi possível entregar: sua reserva",
        body="A mensagem não foi entregue a alguns ou a todos os destinatários.\n\n      Assunto: reserva\n\n"
        "Não foi possível alcançar os seguintes destinatários:\n\n      guest@hotel.example em 29/04/2010 10:00\n"
        "            A conta de email não existe na organização para a qual esta mensagem foi enviada.\n",
        category="invalid_address",
    ),
    Sample(
        name="a Japanese provider",
        sender="MAILER-DAEMON@hotel.example",
        subject="配信エラー通知",
        body="このメールは自動送信されています。\n\n以下の宛先へメールを配信できませんでした。\n\n"
        "guest@hotel.example\n\n理由: 宛先のユーザーは存在しません。\n",
        category="invalid_address",
    ),
    Sample(
        name="a Russian provider",
        sender="Почтовая служба <mailer-daemon@hotel.example>",
        subject="Ваше сообщение не доставлено",
        body="Это письмо создано автоматически.\n\nК сожалению, ваше письмо не может быть доставлено "
        "следующему получателю:\n\n"
        "guest@hotel.example\n\nПричина: пользователь не найден\n",
        category="invalid_address",
    ),
    Sample(
        name="a Chinese provider",
        sender="PostMaster@hotel.example",
        subject="系统退信",
        body="抱歉，您的邮件被退回来了……\n\n原邮件信息：\n"
        "时间 2020-03-02 10:00\n主题 Your booking\n收件人 guest@hotel.example\n\n"
        "退信原因： 收件人邮件地址（guest@hotel.example）不存在，邮件无法送达。\n"
        "host mx.hotel.example said: 550 Mailbox not found\n",
        category="invalid_address",
    ),
    Sample(
        name="a Polish provider",
        sender="Mailer-Daemon@hotel.example",
        subject="Nie dostarczono wiadomości",
        body="Wiadomość nie mogła zostać dostarczona do następującego adresata:\n\n  guest@hotel.example\n"
        "\nPowód: skrzynka jest pełna\n",
        category="mailbox_full",
    ),
    Sample(
        name="a header names the recipient",
        sender="Mail Delivery System <Mailer-Daemon@mx.relay.example>",
        subject="Mail delivery failed: returning message to sender",
        fields="X-Failed-Recipients: guest@hotel.example\nAuto-Submitted: auto-replied\n",
        body="A message that you sent could not be delivered.\n\n    The mail server could not deliver "
        "mail to guest@hotel.example.  "
        "The account or domain may not exist, they may be blacklisted, or missing the proper dns entries.\n",
    ),
    Sample(
        name="a sentence",
        sender="Mail System <postmaster@hotel.example>",
        subject="Your message to guest@hotel.example could not be delivered",
        body="Your message to guest@hotel.example could not be delivered: the mailbox does not exist.\n",
        category="invalid_address",
    ),
    Sample(
        name="x.400",
        sender="X400-MTA <postmaster@hotel.example>",
        subject="Delivery Report (failure) for guest@hotel.example",
        body="This report relates to your message:\n  Subject: Your booking\n\nYour message was not "
        "delivered to:\n  guest@hotel.example\n"
        "for the following reason:\n  Recipient's Mailbox unavailable\n  Diagnostic was Unrecognised O/R name\n",
        category="invalid_address",
    ),
    Sample(
        name="outlook without a status part",
        sender="Microsoft Outlook <postmaster@hotel.example>",
        subject="Undeliverable: Your booking",
        body="Delivery has failed to these recipients or groups:\n\nguest@hotel.example<mailto:guest@hotel.example>\n"
        "The email address you entered couldn't be found. Please check the recipient's email address and "
        "try to resend the message. "
        "If the problem continues, please contact your email admin.\n\nDiagnostic information for administrators:\n\n"
        "Generating server: AM0.prod.example\n\nguest@hotel.example\nRemote Server returned '550 5.1.10 "
        "RESOLVER.ADR.RecipientNotFound; "
        "Recipient not found by SMTP address lookup'\n\nOriginal message headers:\n" + RETURNED,
        category="invalid_address",
    ),
    Sample(
        name="opensmtpd",
        sender="Mailer Daemon <MAILER-DAEMON@mx.hotel.example>",
        subject="Delivery status notification: error",
        body="    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.\n\n    An "
        "error has occurred while attempting "
        "to deliver a message for\n    the following list of recipients:\n\nguest@hotel.example: 552 "
        "5.2.2 mailbox full\n\n"
        f"    Below is a copy of the original message:\n{RETURNED}",
        category="mailbox_full",
    ),
    Sample(
        name="given up after days",
        sender=DAEMON,
        subject="Returned mail: Cannot send message for 5 days",
        body="   ----- The following addresses had permanent fatal errors -----\n<guest@hotel.example>\n\n"
        "   ----- Transcript of session follows -----\n<guest@hotel.example>... Deferred: Connection "
        "timed out with mx.hotel.example.\n"
        "Message could not be delivered for 5 days\nMessage will be deleted from queue\n\n   ----- "
        f"Original message follows -----\n{RETURNED}",
        category="expired|network",
    ),
]

DELAYS = [
    Sample(
        name="postfix",
        sender="Mail Delivery System <MAILER-DAEMON@mx.hotel.example>",
        subject="Delayed Mail (still being retried)",
        body="####################################################################\n# THIS IS A WARNING "
        "ONLY.  YOU DO NOT NEED TO RESEND "
        "YOUR MESSAGE. #\n####################################################################\n\nYour "
        "message could not be delivered for "
        "more than 4 hour(s).\nIt will be retried until it is 5 day(s) old.\n\n<guest@hotel.example>: "
        "connect to mx.hotel.example: Connection "
        "timed out\n",
    ),
    Sample(
        name="exim",
        sender="Mail Delivery System <Mailer-Daemon@mx.hotel.example>",
        subject="Warning: message 1abcde-000123-AB delayed 24 hours",
        body="A message that you sent has not yet been delivered to one or more of its\nrecipients after "
        "more than 24 hours on the queue.\n\n"
        "The address to which the message has not yet been delivered is:\n\n  guest@hotel.example\n    "
        "Delay reason: mailbox is full\n\n"
        "No action is required on your part. Eventually the mail delivery software will give up,\nand "
        "when that happens, the message will be "
        "returned to you.\n",
    ),
    Sample(
        name="sendmail",
        sender=DAEMON,
        subject="Warning: could not send message for past 4 hours",
        body="    **********************************************\n    **      THIS IS A WARNING MESSAGE "
        "ONLY      **\n"
        "    **********************************************\n\n   ----- Transcript of session follows -----\n"
        "<guest@hotel.example>... Deferred: Connection refused by mx.hotel.example.\nWarning: message "
        "still undelivered after 4 hours\n"
        "Will keep trying until message is 5 days old\n",
    ),
    Sample(
        name="in German",
        sender="Systemadministrator <postmaster@hotel.example>",
        subject="Verzögerung: Ihre Buchung",
        body="Die Zustellung Ihrer Nachricht an folgende Empfänger verzögert sich:\n\n   guest@hotel.example\n\n"
        "Die Zustellung wird weiter versucht.\n",
    ),
    Sample(
        name="in French",
        sender="Administrateur système <postmaster@hotel.example>",
        subject="Remise différée : réservation",
        body="Votre message n'a pas encore été remis au destinataire suivant :\n\n   guest@hotel.example\n"
        "\nDe nouvelles tentatives auront lieu.\n",
    ),
]

_AUTO_TEXTS = [
    (
        "English",
        "Automatic reply: Your booking",
        "I am out of the office until Monday. Your message could not be read yet.",
    ),
    (
        "German",
        "Abwesenheitsnotiz: Ihre Buchung",
        "Ich bin bis 5. Mai nicht im Büro. Ihre Nachricht wird nicht weitergeleitet.",
    ),
    ("French", "Réponse automatique : réservation", "Je suis absent jusqu'au 5 mai."),
    ("Spanish", "Respuesta automática: reserva", "Estoy de vacaciones hasta el 5 de mayo."),
    ("Italian", "Risposta automatica: prenotazione", "Sono in ferie fino al 5 maggio."),
    ("Portuguese", "Resposta automática: reserva", "Estou ausente até 5 de maio."),
    ("Dutch", "Automatisch antwoord: boeking", "Ik ben afwezig tot 5 mei."),
    ("Danish", "Autosvar: bestilling", "Jeg er på ferie til den 5. maj."),
    ("Swedish", "Automatiskt svar: bokning", "Jag är inte på kontoret förrän den 5 maj."),
    ("Finnish", "Automaattinen vastaus: varaus", "Olen lomalla 5. toukokuuta asti."),
    ("Polish", "Automatyczna odpowiedź: rezerwacja", "Jestem na urlopie do 5 maja."),
    ("Czech", "Automatická odpověď: rezervace", "Jsem na dovolené do 5. května."),
    ("Hungarian", "Automatikus válasz: foglalás", "Szabadságon vagyok május 5-ig."),
    ("Turkish", "Otomatik yanıt: rezervasyon", "5 Mayıs'a kadar izindeyim."),
    ("Greek", "Αυτόματη απάντηση: κράτηση", "Βρίσκομαι εκτός γραφείου έως τις 5 Μαΐου."),
    ("Russian", "Автоответ: бронирование", "Я в отпуске до 5 мая."),
    ("Japanese", "自動応答: ご予約", "5月5日まで不在にしております。"),
    ("Chinese", "自动回复: 预订", "我正在休假。"),
    ("Korean", "자동 회신: 예약", "휴가 중입니다."),
    (
        "left the company",
        "Re: Your booking",
        "I no longer work here; this mailbox is not read and mail is returned to nobody.",
    ),
]

AUTO_REPLIES = [
    Sample(
        name=f"{name}, {way}",
        sender="Guest <guest@hotel.example>",
        subject=subject,
        body=f"{body}\n",
        fields=fields,
        address=None,
    )
    for name, subject, body in _AUTO_TEXTS
    for way, fields in (
        ("marked", "Auto-Submitted: auto-replied\n"),
        ("from nobody", "Return-Path: <>\n"),
        ("unmarked", ""),
    )
]

#: Automatic answers and successes that use the words of a failure.
TRAPS = [
    (
        "auto-reply",
        Sample(
            name="a mailbox nobody reads",
            sender="Guest <guest@hotel.example>",
            subject="Re: Your booking",
            fields="Auto-Submitted: auto-replied\nReturn-Path: <>\n",
            body="This mailbox is no longer monitored and your e-mail has not been delivered to anybody.\n"
            "Please write to:\n\n  desk@hotel.example\n",
        ),
    ),
    (
        "auto-reply",
        Sample(
            name="a receipt that was deleted unread",
            sender="Guest <guest@hotel.example>",
            subject="Not read: Your booking",
            body="Your message was deleted without being read.\n",
        ),
    ),
    (
        "auto-reply",
        Sample(
            name="a challenge",
            sender="Guest <guest@hotel.example>",
            subject="Re: Your booking [verify]",
            body="Your message has not been delivered yet. Click the link below to prove that you are a real person.\n",
        ),
    ),
    (
        "auto-reply",
        Sample(
            name="a ticket system",
            sender="Help Desk <help@hotel.example>",
            subject="[Ticket 550] We have received your message",
            fields="Auto-Submitted: auto-generated\nPrecedence: bulk\n",
            body="We have received your request. Mail to closed tickets is returned to sender.\n",
        ),
    ),
    (
        "delivered",
        Sample(
            name="a success that warns of later errors",
            sender=DAEMON,
            subject="Successful Mail Delivery Report",
            body="Your message was successfully delivered to the destination(s)\nlisted below. You may still receive "
            "notifications of mail delivery errors\nfrom other systems.\n\n<guest@hotel.example>: "
            "delivered to mailbox\n",
        ),
    ),
    (
        "delay",
        Sample(
            name="a delay that quotes the failure",
            sender="Mail System <postmaster@hotel.example>",
            subject="Delivery Delayed: Your booking",
            body="This is an automatically generated notice. Delivery to the following recipients has "
            "been delayed.\n\n"
            "    guest@hotel.example\n\nThe last error was: 550 could not be delivered, host unreachable\n",
        ),
    ),
    (
        "delivered",
        Sample(
            name="a success that could not be followed",
            sender="Microsoft Outlook <postmaster@hotel.example>",
            subject="Relayed: Your booking",
            body="Delivery to these recipients or groups is complete, but no delivery notification was sent by the "
            "destination server:\n\nguest@hotel.example (guest@hotel.example)\n",
        ),
    ),
    (
        "none",
        Sample(
            name="a shop about a parcel",
            sender="Joe <joe@shop.example>",
            subject="We could not deliver your parcel",
            body="Your parcel could not be delivered. Contact parcel@shop.example to arrange.\n",
        ),
    ),
    (
        "bounce",
        Sample(
            name="a filter that says so in its own words",
            sender="Content-filter at mx.hotel.example <postmaster@mx.hotel.example>",
            subject="BANNED contents from you (.exe)",
            body="Our content checker found\n    banned name: .exe\nin email to the following recipient:\n"
            "-> guest@hotel.example\n\nDelivery of the email was stopped!\n",
        ),
    ),
    (
        "bounce",
        Sample(
            name="a failure that quotes a delay",
            sender=DAEMON,
            subject="Undelivered Mail Returned to Sender",
            body="Your message could not be delivered.\n\n<guest@hotel.example>: host mx.hotel.example "
            "said: 451 4.7.1 delayed, "
            "try again later\n",
        ),
    ),
    (
        "bounce",
        Sample(
            name="a failed sender verification is no challenge",
            sender="Mail Delivery System <Mailer-Daemon@mx.hotel.example>",
            subject="Mail delivery failed: returning message to sender",
            body="A message that you sent could not be delivered to one or more of its recipients.\n\n  "
            "guest@hotel.example\n"
            "    host mx.hotel.example: 550 Sender verification failed\n",
        ),
    ),
]

OTHERS = [
    Sample(
        name="a person writes",
        sender="Guest <guest@hotel.example>",
        subject="Re: Your booking",
        body="Hello,\n\nmy last mail to you was not delivered, the reply was 550 user unknown. Can I come "
        "at 5?\n\nGuest\n",
    ),
    Sample(name="a newsletter", sender="News <news@shop.example>", subject="Delivery in two days!", body="Buy more.\n"),
    Sample(
        name="a DMARC aggregate report",
        sender="noreply-dmarc-support@mailbox.example",
        subject="Report domain: relay.example Submitter: mailbox.example Report-ID: 1234",
        body="This is an aggregate report.\n",
    ),
    Sample(name="nothing at all", sender="", subject="", body=""),
]
