"""German questions in the English words that rules know."""

from __future__ import annotations

_ASCII = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})

_WORDS = {
    # English words: German words that stand for them.
    "many": "viele wieviele anzahl zahl zaehle zaehl",
    "much": "viel wieviel",
    "how": "wie",
    "large": "gross grosse grosser grosses grossen",
    "small": "klein kleine kleiner kleines kleinen",
    "area": "flaeche flaechen ausdehnung groesse",
    "hectares": "hektar ha",
    "square": "quadratmeter quadratmetern qm",
    "where": "wo woher wohin",
    "which": "welche welcher welches welchen welchem",
    "what": "was",
    "describe": "beschreib beschreibe beschreiben fass fasse zusammen",
    "explain": "erklaer erklaere erklaeren",
    "show": "zeig zeige zeigen nenn nenne sag sage",
    "has": "hat habe",
    "have": "haben",
    "is": "ist gibt",
    "are": "sind",
    "were": "wurden worden waren",
    "did": "wurde wird kam kamen",
    "can": "kann kannst koennen",
    "any": "irgendein irgendeine irgendwelche",
    "anything": "etwas irgendetwas irgendwas",
    "changed": (
        "geaendert veraendert veraenderte veraenderten anders gewandelt aendern veraendern"
    ),
    "changes": "aenderung aenderungen veraenderung veraenderungen wandel",
    "difference": "unterschied unterschiede",
    "new": "neu neue neuer neues neuen neuem",
    "constructed": "gebaut erbaut errichtet angelegt neubau neubauten",
    "appeared": "entstanden entstand entstehen hinzugekommen dazugekommen hinzu dazu erschienen",
    "demolished": "abgerissen abriss abgebrochen",
    "removed": "entfernt abgebaut gerodet gefaellt",
    "disappeared": "verschwunden verschwand verschwinden weggefallen weggekommen",
    "gone": "fort",
    "destroyed": "zerstoert",
    "altered": "umgebaut abgewandelt",
    "extended": "erweitert vergroessert verbreitert ausgebaut",
    "renovated": "renoviert saniert",
    "building": "bau bauwerk",
    "buildings": "gebaeude gebaeuden bauten bauwerke",
    "house": "haus",
    "houses": "haeuser haeusern",
    "road": "strasse weg",
    "roads": "strassen wege wegen",
    "tree": "baum",
    "trees": "baeume baeumen",
    "forest": "wald waelder",
    "vegetation": "vegetation bewuchs gruen gruenflaeche gruenflaechen vegetationsflaechen",
    "plants": "pflanze pflanzen",
    "grass": "gras wiese wiesen rasen",
    "water": "wasser gewaesser wasserflaeche wasserflaechen",
    "lake": "see seen",
    "pond": "teich teiche weiher",
    "pool": "becken schwimmbecken",
    "river": "fluss fluesse bach",
    "bare": "offen offene offenen kahl kahle kahlen brache brachen",
    "soil": "boden boeden erde sand",
    "top": "oben obere oberen oberer",
    "bottom": "unten untere unteren unterer",
    "left": "links linke linken linker",
    "right": "rechts rechte rechten rechter",
    "center": "mitte zentrum mittlere mittleren",
    "north": "nord norden noerdlich noerdliche noerdlichen nordteil nordhaelfte",
    "south": "sued sueden suedlich suedliche suedlichen suedteil suedhaelfte",
    "west": "west westen westlich westliche westlichen westteil",
    "east": "ost osten oestlich oestliche oestlichen ostteil",
    "north east": "nordost nordosten nordoestlich nordoestliche nordoestlichen",
    "north west": "nordwest nordwesten nordwestlich nordwestliche nordwestlichen",
    "south east": "suedost suedosten suedoestlich suedoestliche suedoestlichen",
    "south west": "suedwest suedwesten suedwestlich suedwestliche suedwestlichen",
    "the": (
        "der die das den dem des ein eine einen einem einer eines es sich man ich mir mich du sie"
        " wir uns bitte mal denn da dort dorthin hier im in an am auf aus bei beim mit und oder"
        " zwischen seit von vom vor nach zu zum zur fuer durch alle allem alles noch auch nur sehr"
        " mehr als so passiert geschehen geschah los getan tat bild bilder bildern aufnahme"
        " aufnahmen ort orte stelle stellen gebiet gebiete bereich bereiche teil teile kachel"
        " datum daten zeit jahr jahre jahren inzwischen dazwischen jetzt heute frueher frueheren"
        " spaeter spaeteren vorher nachher beiden beide ueberhaupt insgesamt genau etwa ungefaehr"
        " dieser diese dieses diesem diesen"
    ),
}

_ENGLISH = {word: english for english, words in _WORDS.items() for word in words.split()}


def plain_letters(text: str) -> str:
    """A text in small letters without umlauts: `Gebäude` becomes `gebaeude`."""
    return text.lower().translate(_ASCII)


def english_words(words: list[str]) -> list[str]:
    """The English for German words; words that are not known stay.

    Args:
        words: Words in small letters without umlauts.
    """
    translated = []
    for position, word in enumerate(words):
        english = _ENGLISH.get(word, word)
        # "Was ist weg?" is about no road.
        if word == "weg" and (position == len(words) - 1 or words[position - 1] in ("ist", "sind")):
            english = "gone"
        translated += english.split()
    return translated
