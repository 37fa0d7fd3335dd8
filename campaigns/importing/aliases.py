"""How columns are called by CRMs, mail tools and people, in the languages of their makers. Pure data.

Best known first. Salesforce, HubSpot, Zoho, Pipedrive, Mailchimp, Klaviyo, Brevo, ActiveCampaign, MailerLite, Shopify,
Google and Outlook contacts, Facebook and Google lead forms.
"""

from __future__ import annotations

from collections.abc import Mapping

from campaigns.models import ImportKind


def _split(words: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in words.split(",") if word.strip())


_PROFILES = {
    "external_id": """external id, id, contact id, lead id, record id, customer id, customer no, user id, subscriber id,
        customer number, kundennummer, numero client, numero de cliente, row, klaviyo id, euid, member id, person id,
        hs object id, contact number id, salesforce id, record id contact, klantnummer, numero cliente,
        номер клиента, 客户编号, 顧客id, רקם לקוח, מספר לקוח, رقم العميل, معرف العميل""",
    "email": """email, e mail, email address, mail, lead email, contact email, correo, correo electronico,
        correo electrónico, courriel, e mail adresse, email adresse, emailadresse, mailadresse, primary email,
        work email, your email, email 1, e mail 1 value, e mail address, person email, customer email, subscriber,
        adresse email, adresse e mail, adresse mail, adresse électronique, indirizzo email, posta elettronica,
        endereço de email, endereço de e mail, e mailadres, e post, e postadress, sähköposti, adres email, e posta,
        eposta, электронная почта, почта, эл почта, имейл, электронный адрес, 电子邮件, 电子邮箱, 邮箱, 電子郵件,
        メール, メールアドレス, eメール, 이메일, ईमेल, อีเมล, thư điện tử, البريد الإلكتروني, البريد الالكتروني,
        بريد إلكتروني, الإيميل, ايميل, البريد, דואל, דוא ל, אימייל, מייל, כתובת אימייל, ایمیل, پست الکترونیک""",
    "phone": """phone, phone number, mobile, mobile phone, mobile number, mobile phone number, telephone, lead phone,
        tel, cell, cell phone, cellphone, sms, sms phone number, phone 1 value, telefono, teléfono, telefon,
        telefonnummer, téléphone, mobil, handy, handynummer, mobilnummer, portable, celular, móvil, movil, cellulare,
        telefoon, telefoonnummer, telemóvel, telemovel, puhelin, contact number, whatsapp, whatsapp number,
        телефон, номер телефона, мобильный, 电话, 手机, 手机号, 電話, 電話番号, 携帯電話, 전화번호, 휴대폰, फोन, फ़ोन,
        số điện thoại, điện thoại, رقم الهاتف, الهاتف, هاتف, رقم الجوال, الجوال, جوال, موبايل, טלפון, נייד,
        מספר טלפון, طلفن, تلفن, شماره تلفن""",
    "first_name": """first name, firstname, given name, forename, vorname, prenom, prénom, fname, nombre de pila,
        primer nombre, nome próprio, primeiro nome, voornaam, förnamn, fornavn, etunimi, imię, imie, имя,
        名, 名字, الاسم الأول, الاسم الاول, שם פרטי, نام""",
    "last_name": """last name, lastname, surname, family name, nachname, familienname, nom, nom de famille, apellido,
        apellidos, lname, cognome, sobrenome, apelido, achternaam, efternamn, etternavn, efternavn, sukunimi,
        nazwisko, soyad, soyadı, фамилия, 姓, 姓氏, اسم العائلة, الاسم الأخير, الكنية, שם משפחה, نام خانوادگی""",
    "full_name": """name, full name, contact name, customer name, client name, lead name, display name, your name,
        nombre, nombre completo, nom complet, nome, nome completo, vollständiger name, naam, namn, navn, nimi,
        imię i nazwisko, ad soyad, фио, полное имя, 姓名, 氏名, お名前, 이름, 성명, नाम, họ tên, họ và tên, contact,
        الاسم, الاسم الكامل, اسم العميل, שם, שם מלא, שם הלקוח, نام کامل""",
    "locale": "locale, language code, lang, preferred locale, preferred language, hs language",
    "time_zone": "time zone, timezone, tz, timezone iana",
    "country": """country, country name, country region, country code, land, pays, pais, país, paese, address country,
        mailing country, billing country, default address country code, страна, 国家, 国, الدولة, البلد, מדינה, ארץ""",
    "consent.email": """consent email, email consent, email opt in, email optin, opt in, optin, opted in, subscribed,
        newsletter, marketing consent, accepts marketing, email marketing consent, accepts email marketing,
        subscription status, email subscription status, email status, email permission status, mailing status,
        member status, subscriber status, marketing permission, marketing emails, email marketing,
        receives newsletter, einwilligung,
        newsletter anmeldung, consentement, consentimiento, acepta marketing, consenso, согласие, подписка,
        الموافقة, مشترك, הסכמה, מאושר דיוור""",
    "consent.sms": """consent sms, sms consent, sms opt in, sms marketing consent, accepts sms marketing,
        sms permission, sms subscription status, sms status""",
    "consent.push": "consent push, push consent, push opt in, push permission",
    "opt_out.email": """unsubscribed from all email, email opt out, opted out of email, has opted out of email,
        hasoptedoutofemail, opt out, optout, opted out, email optout, email opted out, unsubscribed, unsubscribe,
        unsub time, unsub date, unsubscribed at, unsubscribe date, unsubscribed on, unsubscribed date, opt out date,
        date unsubscribed, do not email, do not mail, donotemail, no email, no emails, email blacklist, blacklisted,
        blocklisted, email blacklisted, email blocklisted, email suppressed, suppressed, abgemeldet, abgemeldet am,
        abmeldung, abbestellt, désabonné, désinscrit, desabonne, desinscrit, baja, dado de baja, disiscritto,
        uitgeschreven, отписан, отписка, إلغاء الاشتراك, ألغى الاشتراك, הוסר, הסרה מדיוור, בוטל""",
    "opt_out.sms": """sms opt out, opted out of sms, do not text, do not sms, sms blacklist, sms blacklisted,
        unsubscribed from sms, sms opted out, sms unsubscribed""",
    "opt_out.push": "push opt out, opted out of push",
    "bounced.email": """bounced, bounce, hard bounce, hard bounced, email bounced, is email bounced, isemailbounced,
        email bounced date, email bounced reason, email hard bounce reason, hard bounce reason, email bounce reason,
        bounce date, bounced at, clean time, cleaned, cleaned at, clean date, invalid email, email invalid,
        email undeliverable, unzustellbar, rebotado, rejeté""",
    "complained.email": "complained, complaint, spam complaint, marked as spam, spam report, complained at",
    "consent_source": "consent source, opt in source, optin source, signup source, sign up source",
    "consent_at": """consent at, consent date, consent time, consent timestamp, opt in date, opt in time, optin time,
        optin date, confirm time, subscribed at, subscription date, date subscribed,
        email marketing consent timestamp""",
}  # fmt: skip
_EVENTS = {
    "message_id": "message id, event id, idempotency key",
    "external_id": "external id, customer id, customerid, user id, userid, contact id, profile id, customer",
    "event": "event, event name, event type, action",
    "occurred_at": "occurred at, timestamp, time, date, invoice date, order date, created at, event time",
    "sku": "sku, stock code, stockcode, product id, products id, item id, product sku, lineitem sku, article",
    "quantity": "quantity, qty, products quantity, lineitem quantity, units",
    "amount": "amount, total, line total, products total, revenue",
    "unit_price": "unit price, unitprice, price, products price, lineitem price",
    "order_id": "order id, invoice no, invoiceno, invoice, order number, order",
    "product_name": "product name, description, title, products title, item name, lineitem name",
}
_PRODUCTS = {
    "sku": "sku, stock code, stockcode, product id, id, item id, article number, handle",
    "name": "name, title, product name, product title",
    "noun_phrase": "noun phrase, spoken name",
    "category": "category, product type, type, department",
    "description": "description, body, product description, about",
    "price": "price, unit price, list price, median price gbp, variant price",
    "currency": "currency, currency code",
    "url": "url, link, product url",
    "is_available": "is available, available, in stock",
}
KNOWN_AS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    kind: {target: _split(words) for target, words in table.items()}
    for kind, table in (
        (ImportKind.PROFILES, _PROFILES),
        (ImportKind.EVENTS, _EVENTS),
        (ImportKind.PRODUCTS, _PRODUCTS),
    )
}
