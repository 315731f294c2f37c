-- What rows are made of: names, domains, countries and a deterministic scatter. All temporary.
-- Domains are of the reserved top-level domain .example and telephone numbers of ranges kept for
-- fiction, so that no row can be anybody's.

-- Scatter: the same number for the same arguments on every server, unlike random() or the
-- server's own hash functions. Below 2^31 - 1, so that the product stays a bigint.
create function pg_temp.mix(i bigint, salt int) returns bigint
  language sql immutable
  as $$
    select (((i * 48271 + salt * 7919 + 11) % 2147483647)
          * ((i * 69621 + salt * 104729 + 5) % 2147483647)) % 2147483647
  $$;

-- What the loader asked for, and this worker's share of it: customers from low to high.
create function pg_temp.customers() returns bigint
  language sql stable as $$ select current_setting('company.customers')::bigint $$;
create function pg_temp.low() returns bigint
  language sql stable as $$ select current_setting('company.low')::bigint $$;
create function pg_temp.high() returns bigint
  language sql stable as $$ select current_setting('company.high')::bigint $$;

-- A Dutch IBAN of an invented bank (DAYP = 13 10 34 25, NL = 23 21) with valid check digits.
create function pg_temp.iban(account bigint) returns text
  language sql immutable
  as $$
    select 'NL' || lpad((98 - ('13103425' || lpad(account::text, 10, '0') || '232100')::numeric % 97)
      ::text, 2, '0') || 'DAYP' || lpad(account::text, 10, '0')
  $$;

create temp table first_names (
  n int generated always as identity (start 0 minvalue 0), name text, latin text
);
insert into first_names (name, latin) values
  ('Ada', 'ada'), ('Aaliyah', 'aaliyah'), ('Abdul', 'abdul'), ('Agnieszka', 'agnieszka'),
  ('Ahmed', 'ahmed'), ('Aiko', 'aiko'), ('Aleksandr', 'aleksandr'), ('Alice', 'alice'),
  ('Amara', 'amara'), ('Amélie', 'amelie'), ('Anders', 'anders'), ('Ángel', 'angel'),
  ('Anneke', 'anneke'), ('Arjun', 'arjun'), ('Astrid', 'astrid'), ('Bartosz', 'bartosz'),
  ('Beatriz', 'beatriz'), ('Birgit', 'birgit'), ('Camila', 'camila'), ('Chidi', 'chidi'),
  ('Chiara', 'chiara'), ('Chloé', 'chloe'), ('Daan', 'daan'), ('Diego', 'diego'),
  ('Elif', 'elif'), ('Emma', 'emma'), ('Eoin', 'eoin'), ('Esther', 'esther'), ('Fatima', 'fatima'),
  ('Femke', 'femke'), ('Giulia', 'giulia'), ('Grace', 'grace'), ('Hana', 'hana'),
  ('Hiroshi', 'hiroshi'), ('Ingrid', 'ingrid'), ('Ivan', 'ivan'), ('Jamal', 'jamal'),
  ('Jia', 'jia'), ('João', 'joao'), ('Jürgen', 'juergen'), ('Kavya', 'kavya'), ('Kwame', 'kwame'),
  ('Lars', 'lars'), ('Leïla', 'leila'), ('Łucja', 'lucja'), ('Mateo', 'mateo'), ('Mei', 'mei'),
  ('Mohammed', 'mohammed'), ('Ngozi', 'ngozi'), ('Niamh', 'niamh'), ('Olga', 'olga'),
  ('Omar', 'omar'), ('Priya', 'priya'), ('Rosa', 'rosa'), ('Sander', 'sander'),
  ('Søren', 'soeren'), ('Thandiwe', 'thandiwe'), ('Tomás', 'tomas'), ('Yusuf', 'yusuf'),
  ('Zeynep', 'zeynep'), ('Zsófia', 'zsofia');

create temp table last_names (
  n int generated always as identity (start 0 minvalue 0), name text, latin text
);
insert into last_names (name, latin) values
  ('Abebe', 'abebe'), ('Almeida', 'almeida'), ('Andersson', 'andersson'), ('Bakker', 'bakker'),
  ('Banerjee', 'banerjee'), ('Becker', 'becker'), ('Bianchi', 'bianchi'), ('Brown', 'brown'),
  ('Çelik', 'celik'), ('Chen', 'chen'), ('Cohen', 'cohen'), ('Costa', 'costa'),
  ('da Silva', 'dasilva'), ('de Vries', 'devries'), ('Diallo', 'diallo'), ('Dubois', 'dubois'),
  ('Eriksen', 'eriksen'), ('Farah', 'farah'), ('Fernández', 'fernandez'), ('Fischer', 'fischer'),
  ('Fitzgerald', 'fitzgerald'), ('Garcia', 'garcia'), ('Haddad', 'haddad'), ('Hansen', 'hansen'),
  ('Horvat', 'horvat'), ('Ibrahim', 'ibrahim'), ('Ikeda', 'ikeda'), ('Ito', 'ito'),
  ('Ivanova', 'ivanova'), ('Jansen', 'jansen'), ('Johnson', 'johnson'), ('Kaya', 'kaya'),
  ('Kim', 'kim'), ('Kowalska', 'kowalska'), ('Kumar', 'kumar'), ('Lefèvre', 'lefevre'),
  ('Lindqvist', 'lindqvist'), ('López', 'lopez'), ('Mbeki', 'mbeki'), ('McAllister', 'mcallister'),
  ('Meyer', 'meyer'), ('Moreau', 'moreau'), ('Müller', 'mueller'), ('Nakamura', 'nakamura'),
  ('Nguyen', 'nguyen'), ('Nowak', 'nowak'), ('O''Brien', 'obrien'), ('Okafor', 'okafor'),
  ('Olsen', 'olsen'), ('Osei', 'osei'), ('Papadopoulos', 'papadopoulos'), ('Park', 'park'),
  ('Patel', 'patel'), ('Pereira', 'pereira'), ('Petrova', 'petrova'), ('Quispe', 'quispe'),
  ('Rahman', 'rahman'), ('Ramírez', 'ramirez'), ('Rossi', 'rossi'), ('Santos', 'santos'),
  ('Sato', 'sato'), ('Schmidt', 'schmidt'), ('Schulz', 'schulz'), ('Shah', 'shah'),
  ('Singh', 'singh'), ('Smit', 'smit'), ('Smith', 'smith'), ('Suzuki', 'suzuki'),
  ('Szabó', 'szabo'), ('Tanaka', 'tanaka'), ('Taylor', 'taylor'), ('Tran', 'tran'),
  ('van Dijk', 'vandijk'), ('Virtanen', 'virtanen'), ('Visser', 'visser'), ('Walker', 'walker'),
  ('Wang', 'wang'), ('Weber', 'weber'), ('Williams', 'williams'), ('Yılmaz', 'yilmaz'),
  ('Zając', 'zajac'), ('Zhang', 'zhang'), ('Zulu', 'zulu');

create temp table domains (n int generated always as identity (start 0 minvalue 0), name text);
insert into domains (name) values
  ('postbus.example'), ('mailhaus.example'), ('inbox.brightmail.example'), ('quickpost.example'),
  ('courriel.example'), ('correo.example'), ('posta.example'), ('poczta.example'),
  ('mail.nordnet.example'), ('student.uni-delft.example'), ('alumni.ox.example'),
  ('cs.kyoto-tech.example'), ('web.example'), ('freemail.example'), ('hushpost.example'),
  ('fastbox.example'), ('telco-one.example'), ('cable.example'), ('bluewave.example'),
  ('skynet.example'), ('gardenersclub.example'), ('lawfirm-partners.example'),
  ('clinic-west.example'), ('cityhall.example'), ('builders.co.example'), ('acme.example'),
  ('globex.example'), ('initech.example'), ('umbrella.example'), ('hooli.example'),
  ('dunes-travel.example'), ('borealis-books.example'), ('cobalt-labs.example'),
  ('mx.solarfarm.example'), ('rail.example'), ('farmers.coop.example'), ('my-domain.example'),
  ('family-archive.example'), ('xn--mnchen-3ya.example'), ('lisboa.example'), ('nairobi.example');

create temp table places (
  n int generated always as identity (start 0 minvalue 0), region sales.region, country text,
  country_name text, city text, street text, postcode text, dial text,
  language text
);
-- In postcode and dial, ## and ### become digits. Half of the customers are in the EU, as those of
-- this shop would be.
insert into places (region, country, country_name, city, street, postcode, dial, language) values
  ('EU', 'NL', 'Netherlands', 'Utrecht', 'Oudegracht', '35## EU', '+31 85 555 0###', 'nl'),
  ('EU', 'NL', 'Netherlands', 'Groningen', 'Herestraat', '97## LG', '+31 85 555 0###', 'nl'),
  ('EU', 'DE', 'Germany', 'Leipzig', 'Lindenweg', '041##', '+49 171 39200##', 'de'),
  ('EU', 'DE', 'Germany', 'Köln', 'Am Ring', '506##', '+49 171 39200##', 'de'),
  ('EU', 'FR', 'France', 'Lyon', 'rue des Tanneurs', '690##', '+33 6 39 98 7###', 'fr'),
  ('EU', 'PL', 'Poland', 'Wrocław', 'ul. Ogrodowa', '50-0##', '+48 22 555 01##', 'pl'),
  ('EU', 'ES', 'Spain', 'Valencia', 'Calle Mayor', '460##', '+34 960 555 ###', 'es'),
  ('EU', 'IE', 'Ireland', 'Cork', 'Mill Road', 'T12 X0##', '+353 20 911 00##', 'en'),
  ('US', 'US', 'United States', 'Springfield', 'Maple Avenue', '627##', '+1 217 555 01##', 'en'),
  ('US', 'US', 'United States', 'Portland', 'Cedar Street', '972##', '+1 503 555 01##', 'en'),
  ('US', 'US', 'United States', 'Austin', 'Pecan Lane', '787##', '+1 512 555 01##', 'en'),
  ('US', 'US', 'United States', 'Albany', 'State Street', '122##', '+1 518 555 01##', 'en'),
  ('APAC', 'AU', 'Australia', 'Hobart', 'Harbour Parade', '70##', '+61 491 570 ###', 'en'),
  ('APAC', 'JP', 'Japan', 'Sapporo', 'Kita-dori', '060-00##', '+81 11 5550 0###', 'ja'),
  ('APAC', 'IN', 'India', 'Pune', 'Station Road', '4110##', '+91 20 5550 1###', 'en'),
  ('LATAM', 'BR', 'Brazil', 'Curitiba', 'Rua das Flores', '800##-000', '+55 41 5550 1###', 'pt');

-- Prefixes of card numbers that issuers keep for tests, with what their six digits add to the
-- checksum (every other digit doubled, starting with the first).
create temp table cards (
  n int generated always as identity (start 0 minvalue 0), prefix text, luhn_sum int
);
insert into cards (prefix, luhn_sum) values
  ('424242', 30), ('555555', 18), ('400005', 13), ('222300', 13), ('601111', 9);

analyze first_names;
analyze last_names;
analyze domains;
analyze places;
analyze cards;
