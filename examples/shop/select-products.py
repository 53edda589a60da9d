#!/usr/bin/env python3
"""Selects the shop's products from the USB ID repository and writes catalogue.sql.

usage: python3 select-products.py usb.ids > catalogue.sql

Vendors, names and numbers are real; category by the rules below; prices and weights are invented
(a hash of the number, within the category's range), so that the output is always the same.
"""

import collections
import hashlib
import re
import sys

BRANDS = {
    "03f0": "HP", "0409": "NEC", "040a": "Kodak", "0411": "Buffalo", "041e": "Creative", "043d": "Lexmark",
    "044f": "ThrustMaster", "0458": "Genius", "045e": "Microsoft", "046a": "Cherry", "046d": "Logitech",
    "0471": "Philips", "047d": "Kensington", "047f": "Plantronics", "0482": "Kyocera", "0499": "Yamaha",
    "04a5": "BenQ", "04a7": "Visioneer", "04a9": "Canon", "04b0": "Nikon", "04b8": "Epson", "04cb": "Fujifilm",
    "04da": "Panasonic", "04dd": "Sharp", "04e8": "Samsung", "04f9": "Brother", "050d": "Belkin", "054c": "Sony",
    "055f": "Mustek", "056a": "Wacom", "056e": "Elecom", "057e": "Nintendo", "0582": "Roland", "05ac": "Apple",
    "05ca": "Ricoh", "05da": "Microtek", "05dc": "Lexar", "0638": "Avision", "0644": "TEAC", "06a3": "Saitek",
    "06bc": "Oki", "06f8": "Guillemot", "072f": "ACS", "0738": "Mad Catz", "0763": "M-Audio", "0781": "SanDisk",
    "07b4": "Olympus", "07d1": "D-Link", "0846": "NetGear", "091e": "Garmin", "0924": "Xerox", "0930": "Toshiba",
    "0944": "Korg", "0951": "Kingston", "0a17": "Pentax", "0b05": "ASUS", "0b0e": "Jabra", "0bc2": "Seagate",
    "0c4b": "Reiner SCT", "0df6": "Sitecom", "0e41": "Line 6", "0fd9": "Elgato", "1038": "SteelSeries",
    "1058": "Western Digital", "1235": "Focusrite", "1397": "Behringer", "13fe": "Kingston", "1532": "Razer",
    "1686": "Zoom", "17cc": "Native Instruments", "17ef": "Lenovo", "194f": "PreSonus", "1b1c": "Corsair",
    "1e71": "NZXT", "1e7d": "Roccat", "2001": "D-Link", "2040": "Hauppauge", "2357": "TP-Link", "413c": "Dell",
}

# At most so many of one brand in one category.
MOST = 80

# The first rule that fits "brand name" names the category; (category, words, lowest and highest price in cents, grams).
RULES = [
    ("tablets", r"intuos|bamboo|cintiq|graphire|pen ?partner|\bpth-|\bpen display|drawing|graphics tablet|\bctl-|\bcth-|\bdth-|\bmte-|\bptz-|\bdtu-|\bdtk-", 4900, 89900, (400, 3500)),
    ("scanners", r"scan(?!disk)|perfection|\bgt-[a-z]?\d|lide|prisa|bearpaw|documate|strobe|onetouch", 5900, 64900, (900, 4200)),
    ("printers", r"print|laserjet|deskjet|officejet|photosmart|pixma|selphy|stylus|work ?force|ecotank|\bhl-|\bmfc|\bdcp-|\bpx-|\blbp|\bmf\d|imageclass|i-sensys|\bml-\d|\bscx-|\bclp-|\bclx-|okipage|phaser|\bql-|\bpt-\d|envy \d|all-in-one|multifunction|\bfs-\d|\bip\d{4}|\bmp\d{3}|\bmg\d{4}|\bts\d{4}|\bmx\d{3}|expression|artisan", 5900, 69900, (2500, 18000)),
    ("webcams", r"web ?cam|lifecam|quickcam|brio|clickcam|live! cam|facecam|pc camera|videocam|streamcam", 1900, 19900, (80, 320)),
    ("cameras", r"camera|coolpix|finepix|powershot|\beos\b|ixus|cyber-?shot|easyshare|camcorder|handycam|optio|caplio|^nikon d\d|\bdsc-|lumix|stylus \d+ digital|\bdsc\b|\b[dz]\d{1,4}[sx]? dslr|\bdv\b", 9900, 149900, (180, 1400)),
    ("keyboards", r"keyboard|keypad|\bkbd?\b|mx board|blackwidow|deathstalker|ornata|huntsman|apex", 1900, 22900, (350, 1500)),
    ("mice", r"mouse|mice|trackball|trackman|deathadder|diamondback|naga|mamba|lachesis|kone\b|rival|sensei|orbit|basilisk|viper", 900, 15900, (60, 210)),
    ("game controllers", r"joystick|game ?pad|gamepad|controller \(|wheel|rumble|sidewinder|dual ?shock|dual ?sense|flight|cyborg|hotas|t\.16000|driving force|pro controller|joy-con|wingman|flight ?stick", 1900, 34900, (200, 4200)),
    ("headsets", r"headset|headphone|earphone|kraken|nari|jabra|evolve|\bblackwire|savi|voyager|arctis|void|hs\d{2}\b|mic(rophone)?\b|speakerphone", 2900, 32900, (40, 420)),
    ("audio", r"sound blaster|audio|speaker|sound|scarlett|saffire|fast ?track|extigy|x-fi|dac\b|\bua-\d|mixer|mbox|amp\b", 2900, 59900, (200, 3200)),
    ("music", r"midi|keystation|oxygen|edirol|launchpad|launchkey|impulse|synth|piano|drum|motif|juno|fantom|guitar|nano(kontrol|pad|key)|clavinova|\bcvp|keyrig|octa-capture|rubix|^roland \w\w?-\d", 4900, 189900, (400, 14000)),
    ("players", r"mp3|walkman|ipod|zen\b|nomad|sansa|muvo|yepp|gigabeat|minidisc|net ?md|hi-md|voice recorder|\bic recorder|\bnwz?-", 2900, 29900, (30, 200)),
    ("card readers", r"card ?reader|smart ?card|imagemate|multi.*reader|jumpshot|cyberjack|\bacr\d|\bmedia reader|compactflash|memory stick", 900, 8900, (30, 180)),
    ("drives", r"hard dr|external|my (book|passport)|elements|freeagent|backup plus|expansion|portable|flash drive|jumpdrive|cruzer|data ?traveler|travel ?drive|\bssd\b|ultra fit|extreme|thumb|pen drive|ministation|drivestation|easystore|game drive|microsd|\bdvd|blu-?ray|floppy|iomega|\bzip\b|rocketfish|one touch|t[1357]\b|usb key", 1500, 24900, (15, 950)),
    ("network", r"wireless.*adapter|wlan|wi-?fi|802\.11|ethernet|network|\bwna?\d|\bdwl-|\bdwa-|\bdub-|bluetooth|archer|nano adapter|router|lan adapter|f5d\d|modem", 1200, 9900, (15, 160)),
    ("television", r"\btv\b|dvb|wintv|tuner|capture|cam link|game capture|hd60|video grab|eyetv|nova-t", 3900, 24900, (40, 420)),
    ("navigation", r"gps|etrex|nuvi|forerunner|edge \d|oregon|zumo|fenix|montana|dakota", 8900, 59900, (60, 420)),
    ("phones", r"phone|galaxy|xperia|handset|lumia", 9900, 89900, (110, 240)),
    ("hubs", r"\bhub\b|dock|replicator|port replic", 1500, 24900, (60, 620)),
    ("presenters", r"present|remote|stream deck", 2900, 24900, (60, 380)),
    ("power", r"\bups\b|power|smart-ups", 5900, 49900, (400, 9000)),
]

# Not something that a shop sells: modes, parts of laptops, firmware loaders, test numbers.
REFUSED = re.compile(
    r"boot|dfu|firmware|recovery|loader|\bmode\b|\bmsc\b|\bmtp\b|\bptp\b|mass storage|adb|debug|rndis|fastboot|"
    r"integrated|internal|built-?in|embedded|composite|root hub|virtual|interface$|in-circuit|unconfigured|no firmware|"
    r"counterfeit|prototype|test|unknown|reserved|generic|laptop|notebook|macbook|aspire|blade|pocketpc|"
    r"windows (powered|mobile|phone)|inside|module|chipset|controller$|receiver$|serial port|bus$|filter|"
    r"isight|imac|touchpad/|trackpad,|\(hid\)|via |converter|\bdisk mode|consumer control|diagnostic|\bpda\b| trade;|\bpart of\b",
    re.I,
)

# A name of these words alone says nothing about which product it is.
VAGUE = set(
    "usb hub keyboard mouse optical wireless webcam camera digital printer scanner laser color colour headset audio "
    "device joystick gamepad game pad flash drive disk card reader adapter bluetooth 2.0 1.1 3.0 hi-speed series "
    "dongle microphone speaker speakers internet multimedia port 4-port external hard network ethernet portable "
    "phone cell phones pc web cam the and with for video mp3 player ink jet inkjet photo storage multifunction mfp "
    "print copy scan fax memory stick".split()
)


def invented(sku, salt, low, high):
    number = int.from_bytes(hashlib.sha256(f"{sku}/{salt}".encode()).digest()[:8], "big")
    return low + number % (high - low + 1)


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def products(path):
    brand = vendor = None
    seen = set()
    count = collections.Counter()
    for line in open(path, encoding="utf-8", errors="replace"):
        if line.startswith("C "):
            return
        if match := re.match(r"([0-9a-f]{4})  (.+)", line):
            vendor, brand = match[1], BRANDS.get(match[1])
            continue
        match = re.match(r"\t([0-9a-f]{4})  (.+)", line)
        if not match or not brand:
            continue
        sku, name = f"{vendor}:{match[1]}", re.sub(r"\s+", " ", match[2]).strip().rstrip(",")
        if "\ufffd" in name or REFUSED.search(name) or not 5 <= len(name) <= 60 or " & " in name:
            continue
        words = set(re.findall(r"[\w.+-]+", name.lower()))
        if words <= VAGUE or (brand, name.lower()) in seen:
            continue
        rule = next((rule for rule in RULES if re.search(rule[1], f"{brand} {name}", re.I)), None)
        if rule is None:
            continue
        category, _, low, high, (light, heavy) = rule
        count[brand, category] += 1
        if count[brand, category] > MOST:
            continue
        seen.add((brand, name.lower()))
        # Cheap things are more common than dear ones; a price ends in 9.
        price = min(invented(sku, "a", low, high), invented(sku, "b", low, high)) // 100 * 100 + 90
        yield sku, brand, name, category, price, invented(sku, "weight", light, heavy) // 5 * 5


def main():
    rows = sorted(products(sys.argv[1]), key=lambda row: (row[1].lower(), row[2].lower(), row[0]))
    print("-- Made by select-products.py; licence and source: README.md. Build the database with")
    print("--   rm -f catalogue.db && sqlite3 catalogue.db < catalogue.sql")
    print("begin;")
    print("create table products (")
    print("  sku         text primary key,          -- USB vendor and product number")
    print("  brand       text not null,")
    print("  name        text not null,")
    print("  category    text not null,")
    print("  price_cents integer not null,          -- invented")
    print("  weight_grams integer not null          -- invented")
    print(") strict, without rowid;")
    print("insert into products values")
    for at, (sku, brand, name, category, price, weight) in enumerate(rows):
        end = ";" if at == len(rows) - 1 else ","
        print(f"({quote(sku)},{quote(brand)},{quote(name)},{quote(category)},{price},{weight}){end}")
    print("create index products_by_category on products (category, price_cents);")
    print("commit;")


main()
