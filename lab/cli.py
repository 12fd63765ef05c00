from lab import settings, artifacts, nodeimage
def main(argv):
    if argv[0] == "image": print(nodeimage.ensure(settings.load()))
    else: print(*artifacts.build_all(settings.load(), argv[1:]), sep="\n")
    return 0
